"""Whether an announced session can be the next one: in order, near, and confirmed by others. Pure.

Called by the risk-gate: one wrong announcement must neither give the budget anew nor make the gate
deaf to the sessions that really come.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from shared.schemas.messages import SessionOpened
from shared.schemas.values import MarketView, ScanRef, Value

NEW_YORK = ZoneInfo("America/New_York")
LONGEST_CLOSURE = dt.timedelta(days=10)
"""Since 1962 the exchange was never shut for longer than a week (September 2001)."""
LONGEST_DAY = dt.timedelta(hours=7)
"""A regular session has six and a half hours."""
TOLERANCE = dt.timedelta(minutes=1)
"""By how much two clocks or two calendars may differ on an instant."""
SATURDAY = 5


class AnnouncedSession(Value, frozen=True, kw_only=True):
    """A session as its opening or one of its scans announces it; open from `open_at` or earlier."""

    session: dt.date
    previous: dt.date | None
    open_at: dt.datetime
    closes_at: dt.datetime

    @classmethod
    def of_opening(cls, opened: SessionOpened) -> AnnouncedSession:
        return cls(
            session=opened.session,
            previous=opened.previous,
            open_at=opened.opens_at,
            closes_at=opened.closes_at,
        )

    @classmethod
    def of_scan(cls, scan: ScanRef) -> AnnouncedSession:
        return cls(
            session=scan.session,
            previous=scan.last_completed,
            open_at=scan.slot_at,
            closes_at=scan.closes_at,
        )


def session_problem(
    announced: AnnouncedSession,
    *,
    last: dt.date | None,
    announced_at: dt.datetime | None,
    market: MarketView | None,
) -> str:
    """Why this session cannot follow `last`, or nothing.

    `announced_at` is the wall clock of the announcement, None in a replay, whose days are not
    today's; `market` is the broker's calendar, if it has been seen.
    """
    if announced.session.weekday() >= SATURDAY:
        return "it is a weekend"
    if announced.previous is not None and announced.previous >= announced.session:
        return f"the session before it is {announced.previous}"
    if last is not None and announced.session < last:
        return f"it is before {last}"
    if announced_at is None:
        return _replay_problem(announced, last)
    return _hours_problem(announced, announced_at) or _calendar_problem(announced, market)


def _replay_problem(announced: AnnouncedSession, last: dt.date | None) -> str:
    """A replay goes session by session, so it can leave none out."""
    if last is None:
        return ""
    if announced.session - last > LONGEST_CLOSURE:
        return f"it is too long after {last}"
    if announced.previous is not None and announced.previous > last:
        return f"the session before it, {announced.previous}, was never opened"
    return ""


def _hours_problem(announced: AnnouncedSession, at: dt.datetime) -> str:
    open_at, closes_at = announced.open_at, announced.closes_at
    if open_at.astimezone(NEW_YORK).date() != announced.session:
        return f"it is said to be open at {open_at}"
    if not dt.timedelta(0) <= closes_at - open_at <= LONGEST_DAY:
        return f"it is said to be open at {open_at} and to close at {closes_at}"
    if not open_at - TOLERANCE <= at <= closes_at + TOLERANCE:
        return f"it was announced at {at}"
    return ""


def _calendar_problem(announced: AnnouncedSession, market: MarketView | None) -> str:
    if market is None or not market.first <= announced.session <= market.last:
        return ""
    theirs = next((each for each in market.sessions if each.session == announced.session), None)
    if theirs is None:
        return "the broker's calendar has no such session"
    is_same_close = abs(theirs.closes_at - announced.closes_at) <= TOLERANCE
    if not is_same_close or announced.open_at < theirs.opens_at - TOLERANCE:
        return f"the broker's calendar has it from {theirs.opens_at} to {theirs.closes_at}"
    return ""
