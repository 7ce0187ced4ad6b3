"""The calendar of the New York Stock Exchange, from exchange_calendars (which brings pandas).

Imported by the scheduler and the data-fetcher alone. It says what was planned; an unscheduled closure is seen first
at the broker.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from typing import Any
from zoneinfo import ZoneInfo

import exchange_calendars
import numpy as np

from shared.domain.timetable import REGULAR_OPEN, Hours

NEW_YORK = ZoneInfo("America/New_York")
REGULAR_CLOSE = dt.time(16, 0)
_AHEAD = dt.timedelta(days=370)
_MARGIN = dt.timedelta(days=30)


class Xnys:
    """Sessions and hours from `first` on; it reaches further by itself as it is asked about later days."""

    def __init__(self, first: dt.date, last: dt.date) -> None:
        self._first = first
        self._load(last)

    def _load(self, last: dt.date) -> None:
        self._end = last + _AHEAD
        schedule = exchange_calendars.get_calendar(
            "XNYS", start=self._first - _MARGIN, end=self._end, side="left"
        ).schedule
        self._sessions: list[dt.date] = schedule.index.to_numpy().astype("datetime64[D]").tolist()
        self._opens = _instants(schedule["open"].to_numpy("datetime64[us]"))
        self._closes = _instants(schedule["close"].to_numpy("datetime64[us]"))

    def hours(self, session: dt.date) -> Hours | None:
        """None if the exchange is shut that day."""
        self._reach(session)
        place = bisect_left(self._sessions, session)
        if place == 0 or place == len(self._sessions) or self._sessions[place] != session:
            return None
        return Hours(
            session=session,
            previous=self._sessions[place - 1],
            opens_at=self._opens[place],
            closes_at=self._closes[place],
        )

    def usual_hours(self, session: dt.date, previous: dt.date) -> Hours:
        """The hours of a session of somebody's bars, whose calendar need not be this one's."""
        known = self.hours(session)
        if known:
            return Hours(session=session, previous=previous, opens_at=known.opens_at, closes_at=known.closes_at)
        return Hours(
            session=session,
            previous=previous,
            opens_at=dt.datetime.combine(session, REGULAR_OPEN, NEW_YORK).astimezone(dt.UTC),
            closes_at=dt.datetime.combine(session, REGULAR_CLOSE, NEW_YORK).astimezone(dt.UTC),
        )

    def day_of(self, now: dt.datetime) -> dt.date:
        """The date in New York."""
        return now.astimezone(NEW_YORK).date()

    def following(self, day: dt.date) -> Hours:
        """The first session on or after a day."""
        self._reach(day)
        hours = self.hours(self._sessions[bisect_left(self._sessions, day)])
        assert hours is not None
        return hours

    def sessions_between(self, after: dt.date, through: dt.date) -> int:
        """How many sessions lie after one day up to and with another."""
        self._reach(through)
        return max(0, bisect_right(self._sessions, through) - bisect_right(self._sessions, after))

    def _reach(self, day: dt.date) -> None:
        if day < self._first:
            self._first = day
            self._load(self._end - _AHEAD)
        elif day + _MARGIN > self._end:
            self._load(day)


def _instants(values: np.ndarray[tuple[int], np.dtype[np.datetime64]]) -> list[dt.datetime]:
    naive: Any = values.tolist()
    return [instant.replace(tzinfo=dt.UTC) for instant in naive]
