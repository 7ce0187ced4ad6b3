"""What the scheduler publishes: sessions opening and closing, and what is due."""

import datetime as dt

from shared.schemas.values import Message, ScanRef, Stage


class SessionOpened(Message, frozen=True, kw_only=True):
    session: dt.date
    previous: dt.date | None
    opens_at: dt.datetime
    closes_at: dt.datetime


class BarsDue(Message, frozen=True, kw_only=True):
    """The archive should hold every session up to `through`."""

    through: dt.date


class ScanDue(Message, frozen=True, kw_only=True):
    scan: ScanRef


class ReconcileDue(Message, frozen=True, kw_only=True):
    """Our books are to be compared with the broker's; `stage` is the part of the session past."""

    session: dt.date
    stage: Stage


class SessionClosed(Message, frozen=True, kw_only=True):
    session: dt.date
