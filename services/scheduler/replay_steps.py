"""The steps of a replayed session: each waits for the executor's answer to the one before.

Handlers of the replay clock; pure.
"""

from msgspec.structs import replace

from services.scheduler.announcements import opening_message, scan_due
from services.scheduler.state import (
    ArchiveExhausted,
    BrokerAdvanced,
    ReplayCompleted,
    ReplayStep,
    State,
    slot_key,
)
from shared.runtime.runner.contract import Context, Decision
from shared.schemas import messages as m
from shared.schemas.values import Message, Slot, Stage, Value


class StageMove(Value, frozen=True, kw_only=True):
    """One move of the broker: to `stage`, reported by the executor as `seen_as`; next step."""

    stage: Stage
    seen_as: Stage
    then: ReplayStep


_STAGE_MOVES = {
    ReplayStep.ADVANCE_OPEN: StageMove(
        stage=Stage.OPEN, seen_as=Stage.OPEN, then=ReplayStep.ACCOUNT_OPEN
    ),
    ReplayStep.ADVANCE_CLOSE: StageMove(
        stage=Stage.CLOSE, seen_as=Stage.BAR, then=ReplayStep.ACCOUNT_BAR
    ),
    ReplayStep.ADVANCE_MARK: StageMove(
        stage=Stage.MARK, seen_as=Stage.MARK, then=ReplayStep.ACCOUNT_MARK
    ),
}
_SEEN_AS = {move.then: move.seen_as for move in _STAGE_MOVES.values()}


def stage_to_reach(state: State) -> Stage | None:
    """The stage to move the broker to; None while an answer is outstanding."""
    move = _STAGE_MOVES.get(state.step)
    return move.stage if move and state.times and not state.finished else None


def on_broker_advanced(
    state: State, outcome: BrokerAdvanced, context: Context[None]
) -> Decision[State]:
    """Ask the executor to look at the broker at its new stage."""
    times, move = state.times, _STAGE_MOVES.get(state.step)
    if (
        times is None
        or move is None
        or (outcome.session, outcome.stage) != (times.session, move.stage)
    ):
        return state, ()
    looks = m.ReconcileDue(session=times.session, stage=move.seen_as)
    before: dict[Stage, tuple[Message, ...]] = {
        Stage.OPEN: (opening_message(times),),
        Stage.MARK: (m.SessionClosed(session=times.session),),
    }
    if outcome.stage is Stage.OPEN:
        state = replace(state, opened=times.session)
    return replace(state, step=move.then), (*before.get(outcome.stage, ()), looks)


def on_broker_seen(state: State, message: m.AccountSeen, context: Context[None]) -> Decision[State]:
    """Start the slot, or end the session, once the executor has looked at the broker."""
    times = state.times
    if times is None or (message.session, message.stage) != (
        times.session,
        _SEEN_AS.get(state.step),
    ):
        return state, ()
    if state.step is ReplayStep.ACCOUNT_MARK:
        done = state.sessions_done + 1
        return replace(state, step=ReplayStep.REST, rested_from=context.at, sessions_done=done), ()
    opening = state.step is ReplayStep.ACCOUNT_OPEN
    slot, slot_at = (
        (Slot.OPEN, times.open_slot_at) if opening else (Slot.CLOSE, times.close_slot_at)
    )
    due = scan_due(times, slot, slot_at, executions_seq=context.trigger.seq)
    fired = {**state.fired, slot_key(slot, slot_at): slot_at}
    step = ReplayStep.SCAN_OPEN if opening else ReplayStep.SCAN_CLOSE
    return replace(state, step=step, scan=due.correlation_id, fired=fired), (due,)


def on_scan_executed(
    state: State, message: m.ScanExecuted, context: Context[None]
) -> Decision[State]:
    after = {
        ReplayStep.SCAN_OPEN: ReplayStep.ADVANCE_CLOSE,
        ReplayStep.SCAN_CLOSE: ReplayStep.ADVANCE_MARK,
    }.get(state.step)
    if after is None or not message.final or message.scan_id != state.scan:
        return state, ()
    return replace(state, step=after), ()


def on_archive_exhausted(
    state: State, outcome: ArchiveExhausted, context: Context[None]
) -> Decision[State]:
    if state.bars_requested == outcome.through:
        return state, ()
    return replace(state, bars_requested=outcome.through), (m.BarsDue(through=outcome.through),)


def on_replay_completed(
    state: State, outcome: ReplayCompleted, context: Context[None]
) -> Decision[State]:
    return replace(state, finished=True), ()
