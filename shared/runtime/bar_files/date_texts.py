"""Dates as people and programs write them, each text to a day, a time of day and a zone.

Called by dates.py with the distinct texts of a column. Where 03/04/2020 may be two days, both are
returned: which one is meant only the whole file and the exchange calendar can say.
"""

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

TIME = (
    r"(?:(?:[T ,]\s*|(?<=\d{8}))(?P<hour>\d{1,2}):?(?P<minute>\d{2})"
    r"(?::?(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"\s*(?P<half>[AaPp])?(?:\.?[Mm]\.?)?)?"
)
ZONE = (
    r"\s*(?P<zone>Z|(?:UTC|GMT)?\s?[+-]\d{1,2}:?(?:\d{2})?(?::\d{2})?"
    r"|[A-Z]{2,4}|[A-Z][A-Za-z_]+(?:/[A-Za-z_]+)+)?"
    r"(?:\s*[\[(](?P<named>[A-Za-z_/]+)[\])])?"
)
YEAR_FIRST = re.compile(
    r"(?P<year>\d{4})(?P<mark>[-/.]?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + TIME + ZONE
)
YEAR_LAST = re.compile(
    rf"(?P<one>\d{{1,2}})[-/.](?P<two>\d{{1,2}})[-/.](?P<three>\d{{4}}|\d{{2}}){TIME}{ZONE}"
)
DAY_NAMED_MONTH = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?P<day>\d{1,2})(?:st|nd|rd|th)?[-/.\s]*"
    r"(?P<name>[A-Za-z]{3,9})\.?[-/.,\s]*(?P<year>\d{4}|\d{2})" + TIME + ZONE
)
NAMED_MONTH_DAY = re.compile(
    r"(?:[A-Za-z]{3,9},?\s+)?(?P<name>[A-Za-z]{3,9})\.?[-/\s]+"
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?,?[-/\s]+(?P<year>\d{4}|\d{2})" + TIME + ZONE
)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
ABBREVIATIONS = {
    "Z": dt.timedelta(0),
    "UTC": dt.timedelta(0),
    "GMT": dt.timedelta(0),
    "EST": dt.timedelta(hours=-5),
    "EDT": dt.timedelta(hours=-4),
    "CST": dt.timedelta(hours=-6),
    "CDT": dt.timedelta(hours=-5),
    "PST": dt.timedelta(hours=-8),
    "PDT": dt.timedelta(hours=-7),
}
NEW_YORK = ZoneInfo("America/New_York")
CENTURY_TURNS = 50
"""A year of two digits below this is of the 2000s: no daily history begins before 1950."""


class DateOrder(StrEnum):
    """How three numbers are a date; CERTAIN where it can be read in one way alone."""

    CERTAIN = "certain"
    MONTH_FIRST = "month/day/year"
    DAY_FIRST = "day/month/year"
    YEAR_FIRST = "year/month/day"


@dataclass(frozen=True, slots=True)
class Moment:
    """`days` has one reading, or one for each DateOrder that makes a date.

    `time` and `zone` if written.
    """

    days: dict[DateOrder, dt.date]
    time: dt.time | None
    zone: dt.tzinfo | None


def read_moment(text: str) -> Moment | None:
    """The moment that a text means; None if it is none."""
    bare = text.strip()
    for pattern, read in _READERS:
        if match := pattern.fullmatch(bare):
            days = dict(read(match))
            zone = _zone(match)
            if not days or zone is UNKNOWN_ZONE:
                return None
            return Moment(days, _time(match), zone)
    return None


def _year_first(match: re.Match[str]) -> Iterator[tuple[DateOrder, dt.date]]:
    if not match["mark"] and len(match["month"] + match["day"]) < 4:
        return
    yield from _dates(DateOrder.CERTAIN, match["year"], match["month"], match["day"])


def _year_last(match: re.Match[str]) -> Iterator[tuple[DateOrder, dt.date]]:
    one, two, three = match["one"], match["two"], match["three"]
    yield from _dates(DateOrder.MONTH_FIRST, three, one, two)
    yield from _dates(DateOrder.DAY_FIRST, three, two, one)
    if len(three) == 2 and len(one) == 2:
        yield from _dates(DateOrder.YEAR_FIRST, one, two, three)


def _month_name_dates(match: re.Match[str]) -> Iterator[tuple[DateOrder, dt.date]]:
    name = match["name"].lower()[:3]
    if name in MONTHS:
        number = str(MONTHS.index(name) + 1)
        yield from _dates(DateOrder.CERTAIN, match["year"], number, match["day"])


def _dates(
    order: DateOrder, year: str, month: str, day: str
) -> Iterator[tuple[DateOrder, dt.date]]:
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < CENTURY_TURNS else 1900
    try:
        yield order, dt.date(number, int(month), int(day))
    except ValueError:
        return


_READERS = (
    (YEAR_FIRST, _year_first),
    (YEAR_LAST, _year_last),
    (DAY_NAMED_MONTH, _month_name_dates),
    (NAMED_MONTH_DAY, _month_name_dates),
)


def _time(match: re.Match[str]) -> dt.time | None:
    if match["hour"] is None:
        return None
    hour, half = int(match["hour"]), (match["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return dt.time(hour, int(match["minute"]), int(match["second"] or 0))
    except ValueError:
        return None


UNKNOWN_ZONE = dt.timezone(dt.timedelta(hours=23, minutes=59))
"""Stands for a zone that is written and not known: then the text is no moment."""


def _zone(match: re.Match[str]) -> dt.tzinfo | None:
    text = match["named"] or match["zone"]
    return _zone_of(text.strip()) if text else None


@cache
def _zone_of(text: str) -> dt.tzinfo:
    if text in ("ET", "EST5EDT"):
        return NEW_YORK
    if text in ABBREVIATIONS:
        return dt.timezone(ABBREVIATIONS[text])
    if match := re.fullmatch(r"(?:UTC|GMT)?\s?([+-])(\d{1,2}):?(\d{2})?(?::\d{2})?", text):
        offset = dt.timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        if offset >= dt.timedelta(hours=24):
            return UNKNOWN_ZONE
        return dt.timezone(-offset if match[1] == "-" else offset)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UNKNOWN_ZONE
