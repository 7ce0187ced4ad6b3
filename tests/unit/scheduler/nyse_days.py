"""The exchange's sessions 2015-2027 by its published rules: an oracle beside exchange_calendars.

Source: the exchange's holiday and early-closing announcements. Holidays are computed from the rule
of each, closures and early closes that follow no rule are listed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

FIRST, LAST = dt.date(2015, 1, 1), dt.date(2027, 12, 31)
CLOSURES = {dt.date(2018, 12, 5), dt.date(2025, 1, 9)}
"""Days of mourning."""
GOOD_FRIDAYS = {
    dt.date(year, month, day)
    for year, month, day in [
        (2015, 4, 3), (2016, 3, 25), (2017, 4, 14), (2018, 3, 30), (2019, 4, 19), (2020, 4, 10),
        (2021, 4, 2), (2022, 4, 15), (2023, 4, 7), (2024, 3, 29), (2025, 4, 18), (2026, 4, 3),
        (2027, 3, 26),
    ]
}  # fmt: skip
JUNETEENTH_SINCE = 2022
MONDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = 0, 3, 4, 5, 6


def all_days() -> Iterator[dt.date]:
    for number in range((LAST - FIRST).days + 1):
        yield FIRST + dt.timedelta(days=number)


def is_session(day: dt.date) -> bool:
    return day.weekday() < SATURDAY and day not in _holidays(day.year)


def closes_early(day: dt.date) -> bool:
    """13:00 on the day after Thanksgiving, on 24 December and on 3 July if the 4th is no weekend.

    When the 4th of July falls on a Saturday the 3rd is the holiday itself; on a Sunday the 2nd
    (a Friday) is a full day.
    """
    if not is_session(day):
        return False
    eve_of_independence = (day.month, day.day) == (7, 3) and day.weekday() < FRIDAY
    after_thanksgiving = day == _nth(day.year, 11, THURSDAY, 4) + dt.timedelta(days=1)
    return eve_of_independence or after_thanksgiving or (day.month, day.day) == (12, 24)


def _holidays(year: int) -> set[dt.date]:
    fixed = [dt.date(year, 7, 4), dt.date(year, 12, 25)]
    if year >= JUNETEENTH_SINCE:
        fixed.append(dt.date(year, 6, 19))
    return {
        *(_observed(day) for day in fixed),
        *_new_year(year),
        _nth(year, 1, MONDAY, 3),
        _nth(year, 2, MONDAY, 3),
        *(day for day in GOOD_FRIDAYS if day.year == year),
        _last(year, 5, MONDAY),
        _nth(year, 9, MONDAY, 1),
        _nth(year, 11, THURSDAY, 4),
        *(day for day in CLOSURES if day.year == year),
    }


def _new_year(year: int) -> set[dt.date]:
    """A 1 January on a Saturday is not observed: the Friday before ends the accounting year."""
    day = dt.date(year, 1, 1)
    return {day + dt.timedelta(days=1)} if day.weekday() == SUNDAY else {day}


def _observed(day: dt.date) -> dt.date:
    shift = {SATURDAY: -1, SUNDAY: 1}.get(day.weekday(), 0)
    return day + dt.timedelta(days=shift)


def _nth(year: int, month: int, weekday: int, number: int) -> dt.date:
    first = dt.date(year, month, 1)
    ahead = (weekday - first.weekday()) % 7 + 7 * (number - 1)
    return first + dt.timedelta(days=ahead)


def _last(year: int, month: int, weekday: int) -> dt.date:
    following = _nth(year, month, weekday, 4) + dt.timedelta(days=7)
    return following if following.month == month else following - dt.timedelta(days=7)
