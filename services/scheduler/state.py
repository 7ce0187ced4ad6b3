"""What the scheduler remembers, and what its work reports back.

Read by both clocks and by the handlers; all of it frozen values.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from shared.domain.market.timetable import Hours, Occasion, Timetable, slots
from shared.schemas.values import MarketView, Slot, Stage, Value


class ReplayStep(StrEnum):
    """The steps of a replayed session, in order: `advance_…` is work's, the others wait."""

    ADVANCE_OPEN = "advance_open"
    ACCOUNT_OPEN = "account_open"
    SCAN_OPEN = "scan_open"
    ADVANCE_CLOSE = "advance_close"
    ACCOUNT_BAR = "account_bar"
    SCAN_CLOSE = "scan_close"
    ADVANCE_MARK = "advance_mark"
    ACCOUNT_MARK = "account_mark"
    REST = "rest"


class SessionStanding(StrEnum):
    """What the broker's calendar says of the session being run."""

    UNCHECKED = "unchecked"
    CONFIRMED = "confirmed"
    CLOSED = "closed"


class MissReason(StrEnum):
    """Why a slot did not run."""

    LATE = "late"
    BROKER_CLOSED = "broker_closed"
    UNCONFIRMED = "unconfirmed"


class SessionTimes(Value, frozen=True, kw_only=True):
    """The session being run, with its hours and its first and last slot."""

    session: dt.date
    previous: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    open_slot_at: dt.datetime
    close_slot_at: dt.datetime

    @classmethod
    def of(cls, hours: Hours, timetable: Timetable) -> SessionTimes:
        day = slots(hours, timetable)
        return cls(
            session=hours.session,
            previous=hours.previous,
            opens_at=hours.opens_at,
            closes_at=hours.closes_at,
            open_slot_at=day[0].at,
            close_slot_at=day[-1].at,
        )

    @property
    def hours(self) -> Hours:
        return Hours(
            session=self.session,
            previous=self.previous,
            opens_at=self.opens_at,
            closes_at=self.closes_at,
        )


class State(Value, frozen=True, kw_only=True):
    """Where the scheduler stands.

    fired: occasions and slots of `times.session` already announced, with their instants. missed:
    slots of it that did not run, with the reason. opened: the last session announced as open.
    market: the broker's latest report; compared_at: the one compared with our calendar;
    differences: the days on which the two differ. closures: the latest days on which the broker had
    no session though our calendar has.
    """

    times: SessionTimes | None = None
    fired: dict[str, dt.datetime] = {}
    missed: dict[str, MissReason] = {}
    reconciled_at: dt.datetime | None = None
    opened: dt.date | None = None
    market: MarketView | None = None
    compared_at: dt.datetime | None = None
    standing: SessionStanding = SessionStanding.UNCHECKED
    differences: tuple[str, ...] = ()
    closures: tuple[dt.date, ...] = ()
    step: ReplayStep = ReplayStep.REST
    rested_from: dt.datetime | None = None
    scan: str = ""
    sessions_done: int = 0
    bars_requested: dt.date | None = None
    finished: bool = False

    def has_fired(self, occasion: Occasion) -> bool:
        return occasion.value in self.fired

    def is_settled(self, slot: Slot, slot_at: dt.datetime) -> bool:
        """Whether the slot was announced or given up."""
        key = slot_key(slot, slot_at)
        return key in self.fired or key in self.missed


def is_later(state: State, session: dt.date) -> bool:
    """Whether the session may still be opened: each is opened once, and only in order."""
    return state.opened is None or session > state.opened


def slot_key(slot: Slot, slot_at: dt.datetime) -> str:
    return f"{slot.value}-{slot_at:%H%M%S}"


# --- outcomes of work -----------------------------------------------------------------------------


class SessionBegun(Value, frozen=True, kw_only=True):
    """The next session begins: the exchange's, or the archive's in a replay."""

    times: SessionTimes


class CalendarCompared(Value, frozen=True, kw_only=True):
    """The broker's report of `market_at` was compared with our calendar.

    `times` is the session as both have it; None if the broker has none that day.
    """

    market_at: dt.datetime
    times: SessionTimes | None
    differences: tuple[str, ...]


class OccasionReached(Value, frozen=True, kw_only=True):
    occasion: Occasion
    session: dt.date


class SlotReached(Value, frozen=True, kw_only=True):
    slot: Slot
    slot_at: dt.datetime


class SlotMissed(Value, frozen=True, kw_only=True):
    slot: Slot
    slot_at: dt.datetime
    reason: MissReason


class ReconcileReached(Value, frozen=True, kw_only=True):
    at: dt.datetime
    stage: Stage


class BrokerAdvanced(Value, frozen=True, kw_only=True):
    """The simulated broker has reached this stage."""

    session: dt.date
    stage: Stage


class ArchiveExhausted(Value, frozen=True, kw_only=True):
    """An endless replay has used up its bars and needs more, up to `through`."""

    through: dt.date


class ReplayCompleted(Value, frozen=True, kw_only=True):
    """No session is left to replay."""
