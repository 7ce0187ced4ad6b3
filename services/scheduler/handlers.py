"""What is said when: the session's occasions and slots, by the exchange's clock or, in a replay, step by step.

Run by the service loop. It looks at no clock and no calendar; work does, and says what has come.
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


class Step(StrEnum):
    """Where a replayed session stands, in order. `advance_…` is for work to do, the others wait to hear."""

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
    """The session being run: when it opens and closes, and in a replay when its slots are."""

    session: dt.date
    previous: dt.date
    opens_at: dt.datetime
    closes_at: dt.datetime
    open_slot_at: dt.datetime
    close_slot_at: dt.datetime


class State(Value, frozen=True, kw_only=True):
    """`fired` holds what has been said of `times.session`: an occasion, or a slot with its instant."""

    times: SessionTimes | None = None
    fired: dict[str, dt.datetime] = {}
    reconciled_at: dt.datetime | None = None
    step: Step = Step.REST
    rested_from: dt.datetime | None = None
    scan: str = ""
    sessions_done: int = 0
    bars_asked: dt.date | None = None
    finished: bool = False


Decided = Decision[State]


# --- what work has found --------------------------------------------------------------------------


class SessionBegun(Value, frozen=True, kw_only=True):
    """The next session is taken up: the exchange's, or the archive's in a replay."""

    times: SessionTimes


class OccasionCame(Value, frozen=True, kw_only=True):
    occasion: Occasion
    session: dt.date


class SlotCame(Value, frozen=True, kw_only=True):
    slot: Slot
    slot_at: dt.datetime


class ReconcileCame(Value, frozen=True, kw_only=True):
    at: dt.datetime
    stage: Stage


class Advanced(Value, frozen=True, kw_only=True):
    """The simulated broker stands at this stage of this session."""

    session: dt.date
    stage: Stage


class BarsEnded(Value, frozen=True, kw_only=True):
    """A replay that goes on for ever has come to the end of the bars; more are wanted, up to `through`."""

    through: dt.date


class AllReplayed(Value, frozen=True, kw_only=True):
    """There is no further session to replay."""


def on_session_begun(state: State, outcome: SessionBegun, context: Context[None]) -> Decided:
    return replace(
        state, times=outcome.times, fired={}, step=Step.ADVANCE_OPEN, scan="", finished=False
    ), ()


# --- by the exchange's clock ----------------------------------------------------------------------


def on_occasion_came(state: State, outcome: OccasionCame, context: Context[None]) -> Decided:
    times = state.times
    if times is None or times.session != outcome.session or outcome.occasion.value in state.fired:
        return state, ()
    said: dict[Occasion, tuple[Message, ...]] = {
        Occasion.BARS_BEFORE_OPEN: (m.BarsDue(through=times.previous),),
        Occasion.OPENED: (_opened(times), m.ReconcileDue(session=times.session, stage=Stage.OPEN)),
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
    return state, said[outcome.occasion]


def on_slot_came(state: State, outcome: SlotCame, context: Context[None]) -> Decided:
    key = slot_key(outcome.slot, outcome.slot_at)
    if state.times is None or key in state.fired:
        return state, ()
    scan = _scan(state.times, outcome.slot, outcome.slot_at)
    return replace(state, fired={**state.fired, key: outcome.slot_at}, scan=scan.id), (_due(scan),)


def on_reconcile_came(state: State, outcome: ReconcileCame, context: Context[None]) -> Decided:
    if state.times is None:
        return state, ()
    due = m.ReconcileDue(session=state.times.session, stage=outcome.stage)
    return replace(state, reconciled_at=outcome.at), (due,)


# --- replayed -------------------------------------------------------------------------------------


def on_advanced(state: State, outcome: Advanced, context: Context[None]) -> Decided:
    """The broker has moved; the executor is asked to look, and its answer is waited for."""
    times = state.times
    expected = _ADVANCES.get(state.step)
    if (
        times is None
        or expected is None
        or (outcome.session, outcome.stage) != (times.session, expected.stage)
    ):
        return state, ()
    looks = m.ReconcileDue(session=times.session, stage=expected.seen_as)
    before: dict[Stage, tuple[Message, ...]] = {
        Stage.OPEN: (_opened(times),),
        Stage.MARK: (m.SessionClosed(session=times.session),),
    }
    return replace(state, step=expected.then), (*before.get(outcome.stage, ()), looks)


def on_account_seen(state: State, message: m.AccountSeen, context: Context[None]) -> Decided:
    """The executor has looked: the slot may run, or the session is over."""
    times = state.times
    if times is None or (message.session, message.stage) != (
        times.session,
        _LOOKED.get(state.step),
    ):
        return state, ()
    if state.step is Step.ACCOUNT_MARK:
        done = state.sessions_done + 1
        return replace(state, step=Step.REST, rested_from=context.at, sessions_done=done), ()
    opening = state.step is Step.ACCOUNT_OPEN
    slot, slot_at = (
        (Slot.OPEN, times.open_slot_at) if opening else (Slot.CLOSE, times.close_slot_at)
    )
    scan = _scan(times, slot, slot_at, executions_seq=context.trigger.seq)
    fired = {**state.fired, slot_key(slot, slot_at): slot_at}
    step = Step.SCAN_OPEN if opening else Step.SCAN_CLOSE
    return replace(state, step=step, scan=scan.id, fired=fired), (_due(scan),)


def on_scan_executed(state: State, message: m.ScanExecuted, context: Context[None]) -> Decided:
    after = {Step.SCAN_OPEN: Step.ADVANCE_CLOSE, Step.SCAN_CLOSE: Step.ADVANCE_MARK}.get(state.step)
    if after is None or not message.final or message.scan_id != state.scan:
        return state, ()
    return replace(state, step=after), ()


def on_bars_ended(state: State, outcome: BarsEnded, context: Context[None]) -> Decided:
    if state.bars_asked == outcome.through:
        return state, ()
    return replace(state, bars_asked=outcome.through), (m.BarsDue(through=outcome.through),)


def on_all_replayed(state: State, outcome: AllReplayed, context: Context[None]) -> Decided:
    return replace(state, finished=True), ()


class Advance(Value, frozen=True, kw_only=True):
    """To which stage the broker is moved at a step, as what the executor then looks, and what is waited for."""

    stage: Stage
    seen_as: Stage
    then: Step


_ADVANCES = {
    Step.ADVANCE_OPEN: Advance(stage=Stage.OPEN, seen_as=Stage.OPEN, then=Step.ACCOUNT_OPEN),
    Step.ADVANCE_CLOSE: Advance(stage=Stage.CLOSE, seen_as=Stage.BAR, then=Step.ACCOUNT_BAR),
    Step.ADVANCE_MARK: Advance(stage=Stage.MARK, seen_as=Stage.MARK, then=Step.ACCOUNT_MARK),
}
_LOOKED = {advance.then: advance.seen_as for advance in _ADVANCES.values()}


def stage_to_reach(state: State) -> Stage | None:
    """The stage work has to move the broker to; None while something is waited for."""
    advance = _ADVANCES.get(state.step)
    return advance.stage if advance and state.times and not state.finished else None


def _opened(times: SessionTimes) -> m.SessionOpened:
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


def _due(scan: ScanRef) -> Outgoing:
    return Outgoing(m.ScanDue(scan=scan), scan.session, scan.id)


def slot_key(slot: Slot, slot_at: dt.datetime) -> str:
    return f"{slot.value}-{slot_at:%H%M%S}"


# --- what people see ------------------------------------------------------------------------------


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
            "kobe_scheduler_slot_runs", 1, {"slot": message.scan.slot.value, "result": "said"}
        )


HANDLERS = handler_table(
    on(m.AccountSeen, on_account_seen),
    on(m.ScanExecuted, on_scan_executed),
    on(SessionBegun, on_session_begun),
    on(OccasionCame, on_occasion_came),
    on(SlotCame, on_slot_came),
    on(ReconcileCame, on_reconcile_came),
    on(Advanced, on_advanced),
    on(BarsEnded, on_bars_ended),
    on(AllReplayed, on_all_replayed),
)
