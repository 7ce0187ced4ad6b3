"""The system clock: reports the sessions, occasions, slots and reconciles that are due.

Used in paper and live (clock = system). A late start does not catch up: only the latest slot runs,
and only within grace.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

from services.scheduler.handlers import (
    OccasionReached,
    ReconcileReached,
    SessionBegun,
    SessionTimes,
    SlotReached,
    State,
    slot_key,
)
from shared.domain.market.timetable import (
    Hours,
    Occasion,
    Timetable,
    due_slot,
    next_instant,
    past_occasions,
    slots,
)
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import Stage

LONGEST_WAIT = 60.0
"""A changed system clock is noticed within a minute."""


class SessionCalendar(Protocol):
    """The exchange's sessions (shared/runtime/calendar/xnys.py)."""

    def new_york_date(self, now: dt.datetime) -> dt.date: ...

    def session_on_or_after(self, day: dt.date) -> Hours: ...


class SystemWork:
    def __init__(self, timetable: Timetable, calendar: SessionCalendar, clock: Clock) -> None:
        self._timetable, self._calendar, self._clock = timetable, calendar, clock

    def recover(self, state: State) -> None:
        """Nothing to recover: what was announced is in the state."""

    def act(self, state: State) -> Outcome | None:
        now = self._clock.now()
        hours = self._calendar.session_on_or_after(self._calendar.new_york_date(now))
        value = self._next_due(state, hours, now)
        if value is None:
            return None
        return Outcome(
            value, at=now, session=hours.session, correlation_id=session_correlation(hours.session)
        )

    def _next_due(self, state: State, hours: Hours, now: dt.datetime) -> Any:
        if state.times is None or state.times.session != hours.session:
            return SessionBegun(times=session_times(hours, self._timetable))
        for occasion in past_occasions(hours, self._timetable, now=now):
            if occasion.value not in state.fired:
                return OccasionReached(occasion=occasion, session=hours.session)
        slot = due_slot(hours, self._timetable, now=now)
        if slot and slot_key(slot.slot, slot.at) not in state.fired:
            return SlotReached(slot=slot.slot, slot_at=slot.at)
        if self._open(state) and now >= self._next_reconcile(state):
            closing = now >= state.times.close_slot_at
            return ReconcileReached(at=now, stage=Stage.CLOSE if closing else Stage.OPEN)
        return None

    def _open(self, state: State) -> bool:
        return Occasion.OPENED.value in state.fired and Occasion.CLOSED.value not in state.fired

    def _next_reconcile(self, state: State) -> dt.datetime:
        return (
            state.reconciled_at or dt.datetime.min.replace(tzinfo=dt.UTC)
        ) + self._timetable.reconcile_every

    def wait(self, state: State) -> float:
        now = self._clock.now()
        hours = self._calendar.session_on_or_after(self._calendar.new_york_date(now))
        instants = [next_instant(hours, self._timetable, now=now)]
        if self._open(state):
            instants.append(self._next_reconcile(state))
        seconds = [(instant - now).total_seconds() for instant in instants if instant]
        return max(0.0, min([LONGEST_WAIT, *seconds]))


def session_times(hours: Hours, timetable: Timetable) -> SessionTimes:
    day = slots(hours, timetable)
    return SessionTimes(
        session=hours.session,
        previous=hours.previous,
        opens_at=hours.opens_at,
        closes_at=hours.closes_at,
        open_slot_at=day[0].at,
        close_slot_at=day[-1].at,
    )


def session_correlation(session: dt.date) -> str:
    return f"SESSION_{session:%Y%m%d}"
