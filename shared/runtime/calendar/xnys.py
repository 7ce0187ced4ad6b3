"""The calendar of the New York Stock Exchange, from exchange_calendars (xnys_schedule.py).

Used by the scheduler and the data-fetcher alone. It knows what was scheduled; an unscheduled
closure is seen first at the broker.
"""

import datetime as dt
import subprocess
import sys
from bisect import bisect_left, bisect_right
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from shared.domain.errors import TransientError
from shared.domain.market.timetable import REGULAR_CLOSE, REGULAR_OPEN, Hours
from shared.runtime.calendar.xnys_schedule import Schedule

NEW_YORK = ZoneInfo("America/New_York")
_AHEAD = dt.timedelta(days=370)
"""A year ahead is loaded at once, so that a running service reloads once a year."""
_MARGIN = dt.timedelta(days=30)
"""Longer than any closure, so that each day has a session before and after it."""
_TIMEOUT_SECONDS = 60.0
"""Importing pandas takes a second, and up to ten on a loaded machine."""


class Xnys:
    """Loaded on first use, extended when asked about a day outside `first` to `last`."""

    def __init__(self, first: dt.date, last: dt.date) -> None:
        self._first, self._last = first, last
        self._sessions: list[dt.date] = []

    def _load(self) -> None:
        schedule = _fetch_schedule(self._first - _MARGIN, self._last + _AHEAD)
        self._sessions, self._opens, self._closes = (
            schedule.sessions,
            schedule.opens,
            schedule.closes,
        )

    def hours(self, session: dt.date) -> Hours | None:
        """The hours of a session; None if the exchange is closed that day."""
        self._extend_to(session)
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
        """The hours of a session of foreign bars, regular ones if this calendar has no such day."""
        known = self.hours(session)
        if known:
            return Hours(
                session=session,
                previous=previous,
                opens_at=known.opens_at,
                closes_at=known.closes_at,
            )
        return Hours(
            session=session,
            previous=previous,
            opens_at=dt.datetime.combine(session, REGULAR_OPEN, NEW_YORK).astimezone(dt.UTC),
            closes_at=dt.datetime.combine(session, REGULAR_CLOSE, NEW_YORK).astimezone(dt.UTC),
        )

    def new_york_date(self, now: dt.datetime) -> dt.date:
        """The date in New York."""
        return now.astimezone(NEW_YORK).date()

    def session_on_or_after(self, day: dt.date) -> Hours:
        """The first session on or after a day, with its hours."""
        self._extend_to(day)
        hours = self.hours(self._sessions[bisect_left(self._sessions, day)])
        assert hours is not None
        return hours

    def sessions(self, after: dt.date, through: dt.date) -> list[dt.date]:
        """Sessions after one day up to and with another."""
        self._extend_to(after)
        self._extend_to(through)
        return self._sessions[
            bisect_right(self._sessions, after) : bisect_right(self._sessions, through)
        ]

    def _extend_to(self, day: dt.date) -> None:
        within = self._first <= day <= self._last + _AHEAD - _MARGIN
        if not within:
            self._first, self._last = min(self._first, day), max(self._last, day)
        if not within or not self._sessions:
            self._load()


def _fetch_schedule(first: dt.date, last: dt.date) -> Schedule:
    """Load the schedule in a child process, which takes pandas with it when it ends."""
    command = [
        sys.executable,
        "-m",
        "shared.runtime.calendar.xnys_schedule",
        first.isoformat(),
        last.isoformat(),
    ]
    root = Path(__file__).parents[3]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, timeout=_TIMEOUT_SECONDS, check=True
        )
        return msgspec.json.decode(done.stdout, type=Schedule)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        raise TransientError(f"the exchange calendar could not be made: {error}") from error
