"""Our calendar against the broker's, day by day, and what both allow. Pure; called by system_clock.

The broker knows of closures that were never scheduled; our calendar is what the strategies were
tested on. Only what both call a session is traded.
"""

import datetime as dt
from typing import Protocol
from zoneinfo import ZoneInfo

from shared.domain.market.timetable import Hours
from shared.schemas.values import MarketView, TradingSession

NEW_YORK = ZoneInfo("America/New_York")


class SessionCalendar(Protocol):
    """The exchange's sessions (shared/runtime/calendar/xnys.py)."""

    def new_york_date(self, now: dt.datetime) -> dt.date: ...

    def hours(self, session: dt.date) -> Hours | None: ...

    def session_on_or_after(self, day: dt.date) -> Hours: ...


def calendar_differences(calendar: SessionCalendar, market: MarketView) -> tuple[str, ...]:
    """One sentence for each day from `market.first` to `market.last` that the two tell apart."""
    theirs = {each.session: each for each in market.sessions}
    days = range((market.last - market.first).days + 1)
    sentences = []
    for day in (market.first + dt.timedelta(days=number) for number in days):
        ours, other = calendar.hours(day), theirs.get(day)
        if _span(ours) != _span(other):
            sentences.append(f"{day}: ours {_text(ours)}, the broker's {_text(other)}")
    return tuple(sentences)


def common_hours(hours: Hours, market: MarketView) -> Hours | None:
    """The hours that both calendars have of a session; None if the broker has none."""
    theirs = next((each for each in market.sessions if each.session == hours.session), None)
    if theirs is None:
        return None
    opens_at = max(hours.opens_at, theirs.opens_at)
    closes_at = min(hours.closes_at, theirs.closes_at)
    if opens_at >= closes_at:
        return None
    return Hours(
        session=hours.session, previous=hours.previous, opens_at=opens_at, closes_at=closes_at
    )


def _span(hours: Hours | TradingSession | None) -> tuple[dt.datetime, dt.datetime] | None:
    return (hours.opens_at, hours.closes_at) if hours else None


def _text(hours: Hours | TradingSession | None) -> str:
    if hours is None:
        return "closed"
    opens_at, closes_at = (each.astimezone(NEW_YORK) for each in (hours.opens_at, hours.closes_at))
    return f"{opens_at:%H:%M}-{closes_at:%H:%M}"
