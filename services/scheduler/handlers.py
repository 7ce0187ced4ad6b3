"""The scheduler's decisions: which message each occasion, slot and replay step calls for.

Run by the service loop. Looks at no clock and no calendar; work does, and reports what is due. The
steps of a replay are in replay_steps.py.
"""

from msgspec.structs import replace

from services.scheduler import replay_steps
from services.scheduler.announcements import opening_message, scan_due
from services.scheduler.state import (
    ArchiveExhausted,
    BrokerAdvanced,
    CalendarCompared,
    OccasionReached,
    ReconcileReached,
    ReplayCompleted,
    ReplayStep,
    SessionBegun,
    SessionStanding,
    SlotMissed,
    SlotReached,
    State,
    is_later,
    slot_key,
)
from shared.domain.market.timetable import Occasion
from shared.runtime.runner.contract import Context, Decision, handler_table, on
from shared.schemas import messages as m
from shared.schemas.values import Message, Stage

MAX_CLOSURES = 10
"""Unscheduled closures are rare; the calendar's next release knows those of earlier years."""

Decided = Decision[State]


def on_session_begun(state: State, outcome: SessionBegun, context: Context[None]) -> Decided:
    """Take up another session; none that is not later than the last one opened."""
    session = outcome.times.session
    if (state.times and session == state.times.session) or not is_later(state, session):
        return state, ()
    return replace(
        state,
        times=outcome.times,
        fired={},
        missed={},
        standing=SessionStanding.UNCHECKED,
        compared_at=None,
        reconciled_at=None,
        step=ReplayStep.ADVANCE_OPEN,
        scan="",
        finished=False,
    ), ()


def on_account_seen(state: State, message: m.AccountSeen, context: Context[None]) -> Decided:
    """Keep the broker's view of the market; in a replay the next step may wait for it."""
    if message.market:
        state = replace(state, market=message.market)
    return replay_steps.on_broker_seen(state, message, context)


def on_calendar_compared(
    state: State, outcome: CalendarCompared, context: Context[None]
) -> Decided:
    """Confirm the session with the hours that both have, or hold it back as closed."""
    times = state.times
    if times is None:
        return state, ()
    state = replace(state, compared_at=outcome.market_at, differences=outcome.differences)
    session = times.session
    if outcome.times is None:
        closures = (*(day for day in state.closures if day != session), session)[-MAX_CLOSURES:]
        return replace(state, standing=SessionStanding.CLOSED, closures=closures), ()
    if outcome.times.session != session:
        return state, ()
    closures = tuple(day for day in state.closures if day != session)
    return replace(
        state, standing=SessionStanding.CONFIRMED, times=outcome.times, closures=closures
    ), ()


def on_occasion_reached(state: State, outcome: OccasionReached, context: Context[None]) -> Decided:
    times = state.times
    if times is None or times.session != outcome.session or state.has_fired(outcome.occasion):
        return state, ()
    session = times.session
    announcements: dict[Occasion, tuple[Message, ...]] = {
        Occasion.BARS_BEFORE_OPEN: (
            m.BarsDue(through=times.previous),
            m.ReconcileDue(session=session, stage=Stage.START),
        ),
        Occasion.OPENED: (
            opening_message(times),
            m.ReconcileDue(session=session, stage=Stage.OPEN),
        ),
        Occasion.CLOSED: (
            m.SessionClosed(session=session),
            m.ReconcileDue(session=session, stage=Stage.MARK),
        ),
        Occasion.BARS_AFTER_CLOSE: (m.BarsDue(through=session),),
    }
    state = replace(state, fired={**state.fired, outcome.occasion.value: context.at})
    if outcome.occasion is Occasion.BARS_AFTER_CLOSE:
        state = replace(state, sessions_done=state.sessions_done + 1)
    else:
        state = replace(state, reconciled_at=context.at)
    if outcome.occasion is Occasion.OPENED:
        state = replace(state, opened=session)
    return state, announcements[outcome.occasion]


def on_slot_reached(state: State, outcome: SlotReached, context: Context[None]) -> Decided:
    if state.times is None or state.is_settled(outcome.slot, outcome.slot_at):
        return state, ()
    due = scan_due(state.times, outcome.slot, outcome.slot_at)
    fired = {**state.fired, slot_key(outcome.slot, outcome.slot_at): outcome.slot_at}
    return replace(state, fired=fired, scan=due.correlation_id), (due,)


def on_slot_missed(state: State, outcome: SlotMissed, context: Context[None]) -> Decided:
    if state.is_settled(outcome.slot, outcome.slot_at):
        return state, ()
    key = slot_key(outcome.slot, outcome.slot_at)
    return replace(state, missed={**state.missed, key: outcome.reason}), ()


def on_reconcile_reached(
    state: State, outcome: ReconcileReached, context: Context[None]
) -> Decided:
    if state.times is None:
        return state, ()
    due = m.ReconcileDue(session=state.times.session, stage=outcome.stage)
    return replace(state, reconciled_at=outcome.at), (due,)


HANDLERS = handler_table(
    on(m.AccountSeen, on_account_seen),
    on(m.ScanExecuted, replay_steps.on_scan_executed),
    on(SessionBegun, on_session_begun),
    on(CalendarCompared, on_calendar_compared),
    on(OccasionReached, on_occasion_reached),
    on(SlotReached, on_slot_reached),
    on(SlotMissed, on_slot_missed),
    on(ReconcileReached, on_reconcile_reached),
    on(BrokerAdvanced, replay_steps.on_broker_advanced),
    on(ArchiveExhausted, replay_steps.on_archive_exhausted),
    on(ReplayCompleted, replay_steps.on_replay_completed),
)
