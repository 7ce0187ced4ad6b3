"""The days on which the New York Stock Exchange trades, by its rules: nothing to load, no pandas.

Called by whoever judges, aligns or counts daily bars. Checked in tests against exchange_calendars;
hours, and closures nobody planned, are the runtime calendar's and the broker's.
"""

import datetime as dt
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

Sessions = NDArray[np.datetime64]
Day = np.datetime64 | dt.date

FIRST_YEAR, LAST_YEAR = 1962, 2060
"""Daily histories of single stocks begin in 1962; Saturdays were sessions until 1952."""
FIRST_DAY, LAST_DAY = np.datetime64(f"{FIRST_YEAR}-01-01"), np.datetime64(f"{LAST_YEAR}-12-31")
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, SATURDAY, SUNDAY = 0, 1, 2, 3, 5, 6

UNPLANNED = (
    "1963-11-25 1968-02-12 1968-04-09 1968-07-05 1968-11-11 1969-02-10 1969-03-31 1969-07-21 "
    "1972-12-28 1973-01-25 1977-07-14 1985-09-27 1994-04-27 2001-09-11 2001-09-12 2001-09-13 "
    "2001-09-14 2004-06-11 2007-01-02 2012-10-29 2012-10-30 2018-12-05 2025-01-09"
)
"""Mourning, weather, attacks, a moon landing: days that no rule gives."""
PAPERWORK_CRISIS = ("1968-06-12", "1968-12-31")
"""Wednesdays were kept shut to settle trades, but in weeks with a holiday of their own."""


def is_session(days: Sessions) -> NDArray[np.bool_]:
    """Which of the days are sessions; none outside FIRST_YEAR to LAST_YEAR."""
    known = (days >= FIRST_DAY) & (days <= LAST_DAY)
    open_days: NDArray[np.bool_] = np.is_busday(days.astype("datetime64[D]"), busdaycal=_calendar())
    return known & open_days


def sessions_between(first: Day, last: Day) -> Sessions:
    """The sessions from one day through another, in order."""
    start, end = np.array([first, last], "datetime64[D]")
    days: Sessions = np.arange(max(start, FIRST_DAY), min(end, LAST_DAY) + 1)
    return days[is_session(days)]


def next_session(day: Day) -> np.datetime64:
    """The first session after a day."""
    following: Sessions = np.array([day], "datetime64[D]") + 1
    session: np.datetime64 = np.busday_offset(following, 0, roll="forward", busdaycal=_calendar())[
        0
    ]
    return session


def session_number(days: Sessions) -> NDArray[np.int64]:
    """How many sessions of the calendar precede each day; a difference of two counts sessions."""
    count: NDArray[np.int64] = np.busday_count(
        FIRST_DAY, days.astype("datetime64[D]"), busdaycal=_calendar()
    )
    return count


@cache
def _calendar() -> np.busdaycalendar:
    closures = {day for year in range(FIRST_YEAR, LAST_YEAR + 1) for day in _holidays(year)}
    closures |= {dt.date.fromisoformat(day) for day in UNPLANNED.split()}
    crisis = {day for day in _paperwork_wednesdays() if not _has_closure(day, closures)}
    return np.busdaycalendar(holidays=np.array(sorted(closures | crisis), "datetime64[D]"))


def _holidays(year: int) -> Iterator[dt.date]:
    """The weekdays of a year that the rules of that year keep shut."""
    new_year = dt.date(year, 1, 1)
    if new_year.weekday() != SATURDAY:  # it would fall into the last day of the year's books
        yield _observance(new_year)
    if year >= 1998:
        yield _nth(year, 1, MONDAY, 3)
    yield _nth(year, 2, MONDAY, 3) if year >= 1971 else _observance(dt.date(year, 2, 22))
    yield _easter(year) - dt.timedelta(days=2)
    if year != 1970:  # May 30 was a Saturday, and that Friday was traded
        yield _last_monday_of_may(year) if year >= 1971 else _observance(dt.date(year, 5, 30))
    if year >= 2022:
        yield _observance(dt.date(year, 6, 19))
    yield _observance(dt.date(year, 7, 4))
    yield _nth(year, 9, MONDAY, 1)
    if year <= 1968 or year in (1972, 1976, 1980):
        yield _nth(year, 11, MONDAY, 1) + dt.timedelta(days=1)
    yield _nth(year, 11, THURSDAY, 4)
    yield _observance(dt.date(year, 12, 25))


def _observance(day: dt.date) -> dt.date:
    """The day itself, the Friday before a Saturday, the Monday after a Sunday."""
    shift = {SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0)
    return day + dt.timedelta(days=shift)


def _nth(year: int, month: int, weekday: int, which: int) -> dt.date:
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))


def _last_monday_of_may(year: int) -> dt.date:
    last = dt.date(year, 5, 31)
    return last - dt.timedelta(days=last.weekday())


def _easter(year: int) -> dt.date:
    """Western Easter Sunday (the anonymous Gregorian computus)."""
    golden, century = year % 19, year // 100
    skipped = century - century // 4 - (8 * century + 13) // 25
    epact = (19 * golden + skipped + 15) % 30
    moon = epact - (epact // 28) * (1 - (29 // (epact + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + century // 4) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return dt.date(year, month, offset + 28 - 31 * (month // 4))


def _paperwork_wednesdays() -> Iterator[dt.date]:
    first, last = (dt.date.fromisoformat(day) for day in PAPERWORK_CRISIS)
    return (first + dt.timedelta(days=days) for days in range(0, (last - first).days + 1, 7))


def _has_closure(wednesday: dt.date, closures: set[dt.date]) -> bool:
    """Whether its week has one."""
    monday = wednesday - dt.timedelta(days=WEDNESDAY)
    return any(monday + dt.timedelta(days=days) in closures for days in range(5))
