"""What is due when in a session: the exchange's hours and the slots derived from them.

Called by the scheduler (both clocks). Knows no calendar and no clock; instants are aware, UTC.
"""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from shared.schemas.values import Slot

REGULAR_OPEN = dt.time(9, 30)
REGULAR_CLOSE = dt.time(16, 0)
LONGEST_BARS_DISTANCE = dt.timedelta(hours=7)
"""Bars are fetched on the session's own date in New York: the close is 8 hours before midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """One session of the exchange; `previous` is the session before it."""

    session: dt.date
    previous: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """Slots as New York wall times of a day that opens at 09:30.

    On any other day they keep their distance to the open, the close slot its distance to the close.
    """

    open_slot: dt.time = dt.time(9, 35)
    retry_slots: tuple[dt.time, ...] = (dt.time(10, 30),)
    before_close: dt.timedelta = dt.timedelta(minutes=5)
    bars_before_open: dt.timedelta = dt.timedelta(minutes=30)
    bars_after_close: dt.timedelta = dt.timedelta(minutes=30)
    reconcile_every: dt.timedelta = dt.timedelta(minutes=5)
    grace: dt.timedelta = dt.timedelta(seconds=300)


@dataclass(frozen=True, slots=True)
class DueSlot:
    slot: Slot
    at: dt.datetime


class Occasion(StrEnum):
    """What happens once in every session, besides its slots."""

    BARS_BEFORE_OPEN = "bars_before_open"
    OPENED = "opened"
    CLOSED = "closed"
    BARS_AFTER_CLOSE = "bars_after_close"


def slots(hours: Hours, timetable: Timetable) -> tuple[DueSlot, ...]:
    """The session's slots in order; on a half day those after the close slot are dropped."""
    close = DueSlot(Slot.CLOSE, hours.closes_at - timetable.before_close)
    early = [DueSlot(Slot.OPEN, _slot_instant(hours, timetable.open_slot))]
    early += [DueSlot(Slot.RETRY, _slot_instant(hours, time)) for time in timetable.retry_slots]
    return (
        *sorted((each for each in early if each.at < close.at), key=lambda each: each.at),
        close,
    )


def invalid_times(timetable: Timetable) -> str | None:
    """What is wrong with the timetable, as the end of a sentence; None if nothing is."""
    times = (timetable.open_slot, *timetable.retry_slots)
    closing = dt.datetime.combine(dt.date.min, REGULAR_CLOSE) - timetable.before_close
    spans = (timetable.before_close, timetable.reconcile_every, timetable.grace)
    ahead = (timetable.bars_before_open, timetable.bars_after_close)
    checks = (
        (min(times) < REGULAR_OPEN, "has a slot before the open at 09:30"),
        (max(times) >= closing.time(), "has a slot at or after its close slot"),
        (list(times) != sorted(set(times)), "has slots that are equal or out of order"),
        (min(spans) <= dt.timedelta(0), "needs close slot, reconcile and grace above zero"),
        (min(ahead) < dt.timedelta(0), "fetches bars a negative time before open or after close"),
        (max(ahead) > LONGEST_BARS_DISTANCE, "fetches bars too far from open or close"),
    )
    return next((problem for is_wrong, problem in checks if is_wrong), None)


def due_slot(hours: Hours, timetable: Timetable, *, now: dt.datetime) -> DueSlot | None:
    """The slot that may run now: the latest one, if within grace and the session is open."""
    reached = [each for each in slots(hours, timetable) if each.at <= now]
    if not reached or now >= hours.closes_at:
        return None
    return reached[-1] if now - reached[-1].at <= timetable.grace else None


def missed_slots(hours: Hours, timetable: Timetable, *, now: dt.datetime) -> tuple[DueSlot, ...]:
    """Slots that can no longer run: superseded by a later one, past grace, or past the close."""
    due = due_slot(hours, timetable, now=now)
    return tuple(each for each in slots(hours, timetable) if each.at <= now and each != due)


def past_occasions(hours: Hours, timetable: Timetable, *, now: dt.datetime) -> tuple[Occasion, ...]:
    """Occasions reached by now, in order; the open is dropped once the session is over."""
    reached = []
    if now >= hours.opens_at - timetable.bars_before_open:
        reached.append(Occasion.BARS_BEFORE_OPEN)
    if hours.opens_at <= now < hours.closes_at:
        reached.append(Occasion.OPENED)
    if now >= hours.closes_at:
        reached.append(Occasion.CLOSED)
    if now >= hours.closes_at + timetable.bars_after_close:
        reached.append(Occasion.BARS_AFTER_CLOSE)
    return tuple(reached)


def next_instant(hours: Hours, timetable: Timetable, *, now: dt.datetime) -> dt.datetime | None:
    """The next instant of this session at which something is due; None if there is none."""
    instants = [each.at for each in slots(hours, timetable)]
    instants += [hours.opens_at - timetable.bars_before_open, hours.opens_at, hours.closes_at]
    instants.append(hours.closes_at + timetable.bars_after_close)
    return min((instant for instant in instants if instant > now), default=None)


def _slot_instant(hours: Hours, time: dt.time) -> dt.datetime:
    """The open plus the wall time's distance to 09:30, through daylight saving and late opens."""
    minutes = (time.hour - REGULAR_OPEN.hour) * 60 + time.minute - REGULAR_OPEN.minute
    return hours.opens_at + dt.timedelta(minutes=minutes)
