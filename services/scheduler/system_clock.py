"""Looks at the exchange's clock and says what has come: a session, an occasion in it, a slot, a reconcile.

Used in paper and live (clock = system). Late it does not catch up: of the slots only the latest
runs, within grace.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

from services.scheduler.handlers import (
    OccasionCame,
    ReconcileCame,
    SessionBegun,
    SessionTimes,
    SlotCame,
    State,
    slot_key,
)
from shared.domain.market.timetable import (
    Hours,
    Occasion,
    Timetable,
    due,
    occasions,
    slots,
    upcoming,
)
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import Stage

LONGEST_WAIT = 60.0


class Calendar(Protocol):
    """The exchange's sessions (shared/runtime/calendar/xnys.py)."""

    def day_of(self, now: dt.datetime) -> dt.date: ...

    def following(self, day: dt.date) -> Hours: ...


class SystemWork:
    def __init__(self, timetable: Timetable, calendar: Calendar, clock: Clock) -> None:
        self._timetable, self._calendar, self._clock = timetable, calendar, clock

    def recover(self, state: State) -> None:
        """Nothing to recover: what was said is in the state."""

    def act(self, state: State) -> Outcome | None:
        now = self._clock.now()
        hours = self._calendar.following(self._calendar.day_of(now))
        value = self._come(state, hours, now)
        if value is None:
            return None
        return Outcome(
            value, at=now, session=hours.session, correlation_id=session_correlation(hours.session)
        )

    def _come(self, state: State, hours: Hours, now: dt.datetime) -> Any:
        if state.times is None or state.times.session != hours.session:
            return SessionBegun(times=session_times(hours, self._timetable))
        for occasion in occasions(hours, self._timetable, now=now):
            if occasion.value not in state.fired:
                return OccasionCame(occasion=occasion, session=hours.session)
        slot = due(hours, self._timetable, now=now)
        if slot and slot_key(slot.slot, slot.at) not in state.fired:
            return SlotCame(slot=slot.slot, slot_at=slot.at)
        if self._open(state) and now >= self._next_reconcile(state):
            closing = now >= state.times.close_slot_at
            return ReconcileCame(at=now, stage=Stage.CLOSE if closing else Stage.OPEN)
        return None

    def _open(self, state: State) -> bool:
        return Occasion.OPENED.value in state.fired and Occasion.CLOSED.value not in state.fired

    def _next_reconcile(self, state: State) -> dt.datetime:
        return (
            state.reconciled_at or dt.datetime.min.replace(tzinfo=dt.UTC)
        ) + self._timetable.reconcile_every

    def wait(self, state: State) -> float:
        now = self._clock.now()
        hours = self._calendar.following(self._calendar.day_of(now))
        instants = [upcoming(hours, self._timetable, now=now)]
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
