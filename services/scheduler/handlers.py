"""The scheduler's decisions: which message each occasion, slot and replay step calls for.

Run by the service loop. Looks at no clock and no calendar; work does, and reports what is due.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from enum import StrEnum

from msgspec.structs import replace

from shared.domain.market.timetable import Occasion
from shared.domain.trading.ids import scan_id
from shared.runtime.observability.samples import MetricSample
from shared.runtime.runner.contract import Context, Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.values import Message, ScanRef, Slot, Stage, Value


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


class SessionTimes(Value, frozen=True, kw_only=True):
    """The session being run, with its hours and its first and last slot."""

    session: dt.date
    previous: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    open_slot_at: dt.datetime
    close_slot_at: dt.datetime


class State(Value, frozen=True, kw_only=True):
    """`fired` holds the occasions and slots of `times.session` already announced."""

    times: SessionTimes | None = None
    fired: dict[str, dt.datetime] = {}
    reconciled_at: dt.datetime | None = None
    step: ReplayStep = ReplayStep.REST
    rested_from: dt.datetime | None = None
    scan: str = ""
    sessions_done: int = 0
    bars_requested: dt.date | None = None
    finished: bool = False


Decided = Decision[State]


# --- outcomes of work -----------------------------------------------------------------------------


class SessionBegun(Value, frozen=True, kw_only=True):
    """The next session begins: the exchange's, or the archive's in a replay."""

    times: SessionTimes


class OccasionReached(Value, frozen=True, kw_only=True):
    occasion: Occasion
    session: dt.date


class SlotReached(Value, frozen=True, kw_only=True):
    slot: Slot
    slot_at: dt.datetime


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


def on_session_begun(state: State, outcome: SessionBegun, context: Context[None]) -> Decided:
    return replace(
        state, times=outcome.times, fired={}, step=ReplayStep.ADVANCE_OPEN, scan="", finished=False
    ), ()


# --- by the exchange's clock ----------------------------------------------------------------------


def on_occasion_reached(state: State, outcome: OccasionReached, context: Context[None]) -> Decided:
    times = state.times
    if times is None or times.session != outcome.session or outcome.occasion.value in state.fired:
        return state, ()
    announcements: dict[Occasion, tuple[Message, ...]] = {
        Occasion.BARS_BEFORE_OPEN: (m.BarsDue(through=times.previous),),
        Occasion.OPENED: (
            _session_opened(times),
            m.ReconcileDue(session=times.session, stage=Stage.OPEN),
        ),
        Occasion.CLOSED: (
            m.SessionClosed(session=times.session),
            m.ReconcileDue(session=times.session, stage=Stage.MARK),
        ),
        Occasion.BARS_AFTER_CLOSE: (m.BarsDue(through=times.session),),
    }
    fired = {**state.fired, outcome.occasion.value: context.at}
    reconciled = Occasion.OPENED is outcome.occasion
    state = replace(
        state, fired=fired, reconciled_at=context.at if reconciled else state.reconciled_at
    )
    if outcome.occasion is Occasion.BARS_AFTER_CLOSE:
        state = replace(state, sessions_done=state.sessions_done + 1)
    return state, announcements[outcome.occasion]


def on_slot_reached(state: State, outcome: SlotReached, context: Context[None]) -> Decided:
    key = slot_key(outcome.slot, outcome.slot_at)
    if state.times is None or key in state.fired:
        return state, ()
    scan = _scan(state.times, outcome.slot, outcome.slot_at)
    return replace(state, fired={**state.fired, key: outcome.slot_at}, scan=scan.id), (
        _scan_due(scan),
    )


def on_reconcile_reached(
    state: State, outcome: ReconcileReached, context: Context[None]
) -> Decided:
    if state.times is None:
        return state, ()
    due = m.ReconcileDue(session=state.times.session, stage=outcome.stage)
    return replace(state, reconciled_at=outcome.at), (due,)


# --- in a replay ----------------------------------------------------------------------------------


def on_broker_advanced(state: State, outcome: BrokerAdvanced, context: Context[None]) -> Decided:
    """Ask the executor to look at the broker at its new stage."""
    times = state.times
    expected = _STAGE_MOVES.get(state.step)
    if (
        times is None
        or expected is None
        or (outcome.session, outcome.stage) != (times.session, expected.stage)
    ):
        return state, ()
    looks = m.ReconcileDue(session=times.session, stage=expected.seen_as)
    before: dict[Stage, tuple[Message, ...]] = {
        Stage.OPEN: (_session_opened(times),),
        Stage.MARK: (m.SessionClosed(session=times.session),),
    }
    return replace(state, step=expected.then), (*before.get(outcome.stage, ()), looks)


def on_account_seen(state: State, message: m.AccountSeen, context: Context[None]) -> Decided:
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
    scan = _scan(times, slot, slot_at, executions_seq=context.trigger.seq)
    fired = {**state.fired, slot_key(slot, slot_at): slot_at}
    step = ReplayStep.SCAN_OPEN if opening else ReplayStep.SCAN_CLOSE
    return replace(state, step=step, scan=scan.id, fired=fired), (_scan_due(scan),)


def on_scan_executed(state: State, message: m.ScanExecuted, context: Context[None]) -> Decided:
    after = {
        ReplayStep.SCAN_OPEN: ReplayStep.ADVANCE_CLOSE,
        ReplayStep.SCAN_CLOSE: ReplayStep.ADVANCE_MARK,
    }.get(state.step)
    if after is None or not message.final or message.scan_id != state.scan:
        return state, ()
    return replace(state, step=after), ()


def on_archive_exhausted(
    state: State, outcome: ArchiveExhausted, context: Context[None]
) -> Decided:
    if state.bars_requested == outcome.through:
        return state, ()
    return replace(state, bars_requested=outcome.through), (m.BarsDue(through=outcome.through),)


def on_replay_completed(state: State, outcome: ReplayCompleted, context: Context[None]) -> Decided:
    return replace(state, finished=True), ()


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
_SEEN_AS = {advance.then: advance.seen_as for advance in _STAGE_MOVES.values()}


def stage_to_reach(state: State) -> Stage | None:
    """The stage to move the broker to; None while an answer is outstanding."""
    advance = _STAGE_MOVES.get(state.step)
    return advance.stage if advance and state.times and not state.finished else None


def _session_opened(times: SessionTimes) -> m.SessionOpened:
    return m.SessionOpened(
        session=times.session,
        previous=times.previous,
        opens_at=times.opens_at,
        closes_at=times.closes_at,
    )


def _scan(
    times: SessionTimes, slot: Slot, slot_at: dt.datetime, *, executions_seq: int = 0
) -> ScanRef:
    return ScanRef(
        id=scan_id(times.session, slot_at),
        session=times.session,
        slot=slot,
        slot_at=slot_at,
        closes_at=times.closes_at,
        last_completed=times.previous,
        executions_seq=executions_seq,
    )


def _scan_due(scan: ScanRef) -> Outgoing:
    return Outgoing(m.ScanDue(scan=scan), scan.session, scan.id)


def slot_key(slot: Slot, slot_at: dt.datetime) -> str:
    return f"{slot.value}-{slot_at:%H%M%S}"


# --- metrics --------------------------------------------------------------------------------------


def gauges(state: State) -> Iterable[MetricSample]:
    yield MetricSample(
        "kobe_scheduler_sessions_done", float(state.sessions_done), help="Sessions run to their end"
    )
    yield MetricSample(
        "kobe_scheduler_finished",
        float(state.finished),
        help="1 when there is no session left to replay",
    )
    if state.times:
        opened = state.times.opens_at.timestamp()
        yield MetricSample(
            "kobe_session_timestamp_seconds", opened, help="When the session being run opens"
        )


def counts(message: m.Message) -> Iterable[MetricSample]:
    if isinstance(message, m.ScanDue):
        yield MetricSample(
            "kobe_scheduler_slot_runs", 1, {"slot": message.scan.slot.value, "result": "announced"}
        )


HANDLERS = handler_table(
    on(m.AccountSeen, on_account_seen),
    on(m.ScanExecuted, on_scan_executed),
    on(SessionBegun, on_session_begun),
    on(OccasionReached, on_occasion_reached),
    on(SlotReached, on_slot_reached),
    on(ReconcileReached, on_reconcile_reached),
    on(BrokerAdvanced, on_broker_advanced),
    on(ArchiveExhausted, on_archive_exhausted),
    on(ReplayCompleted, on_replay_completed),
)
