"""The system clock: reports the sessions, occasions, slots and reconciles that are due.

Used in paper and live (clock = system). A session is opened and a slot run only when the broker's
own clock and calendar, as the executor reports them, agree. A late start does not catch up: only
the latest slot runs, and only within grace.
"""

import datetime as dt

from msgspec import structs

from services.scheduler.broker_calendar import (
    SessionCalendar,
    calendar_differences,
    common_hours,
)
from services.scheduler.state import (
    CalendarCompared,
    MissReason,
    OccasionReached,
    ReconcileReached,
    SessionBegun,
    SessionStanding,
    SessionTimes,
    SlotMissed,
    SlotReached,
    State,
    is_later,
)
from shared.domain.market import timetable as times_of_day
from shared.domain.market.timetable import Hours, Occasion, Timetable
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Outcome
from shared.schemas.values import MarketView, Stage, Value

LONGEST_WAIT = 60.0
"""A changed system clock is noticed within a minute."""
ASK_AGAIN = dt.timedelta(seconds=30)
"""Between two questions to a broker that has not confirmed yet: ten tries within a slot's grace."""
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class SystemWork:
    def __init__(self, timetable: Timetable, calendar: SessionCalendar, clock: Clock) -> None:
        self._timetable, self._calendar, self._clock = timetable, calendar, clock

    def recover(self, state: State) -> None:
        """Nothing to recover: what was announced is in the state."""

    def act(self, state: State) -> Outcome | None:
        now = self._clock.now()
        value = self._next_due(state, now)
        if value is None:
            return None
        times = value.times if isinstance(value, SessionBegun) else state.times
        assert times is not None
        return Outcome(
            value, at=now, session=times.session, correlation_id=session_correlation(times.session)
        )

    def wait(self, state: State) -> float:
        """Until the next instant at which something is due; 0 if something is due already."""
        now = self._clock.now()
        if state.times is None:
            return 0.0
        instants = [
            times_of_day.next_instant(state.times.hours, self._timetable, now=now),
            self._next_reconcile(state, now),
        ]
        seconds = [(instant - now).total_seconds() for instant in instants if instant]
        return max(0.0, min([LONGEST_WAIT, *seconds]))

    def _next_due(self, state: State, now: dt.datetime) -> Value | None:
        today = self._calendar.session_on_or_after(self._calendar.new_york_date(now))
        times = state.times
        if times is None or times.session != today.session:
            begun = SessionBegun(times=self._times_of(today, state.closures))
            return begun if is_later(state, today.session) else None  # the clock was set back
        return (
            self._comparison(state, times, today)
            or self._occasion(state, times.hours, now)
            or self._slot(state, times.hours, now)
            or self._reconcile(state, times, now)
        )

    def _times_of(self, hours: Hours, closures: tuple[dt.date, ...]) -> SessionTimes:
        """`previous` is the last session that was held: the strategies' last bar."""
        previous = hours.previous
        while previous in closures:
            before = self._calendar.hours(previous)
            assert before is not None
            previous = before.previous
        times = SessionTimes.of(hours, self._timetable)
        return structs.replace(times, previous=previous)

    # --- the broker's word ------------------------------------------------------------------------

    def _comparison(
        self, state: State, times: SessionTimes, today: Hours
    ) -> CalendarCompared | None:
        market = state.market
        if market is None or market.at == state.compared_at or not self._is_todays(market, times):
            return None
        agreed = common_hours(today, market)
        common = SessionTimes.of(agreed, self._timetable) if agreed else None
        return CalendarCompared(
            market_at=market.at,
            times=structs.replace(common, previous=times.previous) if common else None,
            differences=calendar_differences(self._calendar, market),
        )

    def _is_todays(self, market: MarketView, times: SessionTimes) -> bool:
        return self._calendar.new_york_date(market.at) == times.session

    def _is_market_open(self, state: State, slot_at: dt.datetime) -> bool | None:
        """What the broker said around the slot; None if it has not been heard since the open."""
        market, times = state.market, state.times
        since = slot_at - self._timetable.reconcile_every
        if market is None or times is None or market.at < max(since, times.opens_at):
            return None
        return market.is_open

    # --- what is due ------------------------------------------------------------------------------

    def _occasion(self, state: State, hours: Hours, now: dt.datetime) -> OccasionReached | None:
        held_back = {
            Occasion.OPENED: state.standing is not SessionStanding.CONFIRMED,
            Occasion.CLOSED: not state.has_fired(Occasion.OPENED),
            Occasion.BARS_AFTER_CLOSE: state.standing is SessionStanding.CLOSED,
        }
        for occasion in times_of_day.past_occasions(hours, self._timetable, now=now):
            if not state.has_fired(occasion) and not held_back.get(occasion):
                return OccasionReached(occasion=occasion, session=hours.session)
        return None

    def _slot(
        self, state: State, hours: Hours, now: dt.datetime
    ) -> SlotReached | SlotMissed | None:
        for slot in times_of_day.missed_slots(hours, self._timetable, now=now):
            if not state.is_settled(slot.slot, slot.at):
                reason = self._miss_reason(state, slot.at)
                return SlotMissed(slot=slot.slot, slot_at=slot.at, reason=reason)
        due = self._unsettled_slot(state, hours, now)
        if due and state.has_fired(Occasion.OPENED) and self._is_market_open(state, due.at):
            return SlotReached(slot=due.slot, slot_at=due.at)
        return None

    def _unsettled_slot(
        self, state: State, hours: Hours, now: dt.datetime
    ) -> times_of_day.DueSlot | None:
        due = times_of_day.due_slot(hours, self._timetable, now=now)
        return None if due is None or state.is_settled(due.slot, due.at) else due

    def _miss_reason(self, state: State, slot_at: dt.datetime) -> MissReason:
        is_open = self._is_market_open(state, slot_at)
        if state.standing is SessionStanding.CLOSED or is_open is False:
            return MissReason.BROKER_CLOSED
        if state.standing is SessionStanding.UNCHECKED or is_open is None:
            return MissReason.UNCONFIRMED
        return MissReason.LATE

    def _reconcile(
        self, state: State, times: SessionTimes, now: dt.datetime
    ) -> ReconcileReached | None:
        due_at = self._next_reconcile(state, now)
        if due_at is None or now < due_at:
            return None
        if not state.has_fired(Occasion.OPENED):
            return ReconcileReached(at=now, stage=Stage.START)
        closing = now >= times.close_slot_at
        return ReconcileReached(at=now, stage=Stage.CLOSE if closing else Stage.OPEN)

    def _next_reconcile(self, state: State, now: dt.datetime) -> dt.datetime | None:
        """When the executor is next asked to look at the broker; None outside the session."""
        every = self._reconcile_interval(state, now)
        return (state.reconciled_at or NEVER) + every if every else None

    def _reconcile_interval(self, state: State, now: dt.datetime) -> dt.timedelta | None:
        times = state.times
        if times is None or not state.has_fired(Occasion.BARS_BEFORE_OPEN):
            return None
        if now >= times.closes_at or state.has_fired(Occasion.CLOSED):
            return None
        if state.standing is SessionStanding.UNCHECKED:
            return ASK_AGAIN
        if state.has_fired(Occasion.OPENED):
            waits = self._unsettled_slot(state, times.hours, now) is not None
            return (
                min(ASK_AGAIN, self._timetable.reconcile_every)
                if waits
                else (self._timetable.reconcile_every)
            )
        return self._timetable.reconcile_every if now >= times.opens_at else None


def session_correlation(session: dt.date) -> str:
    return f"SESSION_{session:%Y%m%d}"
