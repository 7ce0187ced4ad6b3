"""What the signal-engine reads and publishes: positions to watch, scans that are due. Pure.

Run by the service loop. Positions come from the executor's fills alone; signals are computed in
work.py.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from shared.domain.trading.exits import WatchedPosition
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.runtime.runner.contract import Context, Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.envelope import canonical
from shared.schemas.fields import MAX_ENTRIES, MAX_PARTS
from shared.schemas.values import Exit, Purpose, ScanRef, Side, Signal, Value

PART_BYTES = 192 * 1024
"""Exits and signals in one ScanCompleted, so that the rest of its envelope fits too."""


class PendingScan(Value, frozen=True, kw_only=True):
    """A scan that is due; computed once the data-fetcher has answered for the bars."""

    scan: ScanRef
    due: bool = False
    bars: m.BarsReady | None = None


class State(Value, frozen=True, kw_only=True):
    """`positions` by symbol; `scans` by id, in the order they came."""

    positions: dict[str, WatchedPosition] = {}
    scans: dict[str, PendingScan] = {}
    executions_seq: int = 0


Decided = Decision[State]


class ScanResult(Value, frozen=True, kw_only=True):
    """All that a scan found, in rank order; `aborted` says why a broken scan has no signals."""

    scan: ScanRef
    exits: tuple[Exit, ...]
    signals: tuple[Signal, ...]
    bars_digest: str
    aborted: str = ""


def ready(state: State) -> PendingScan | None:
    """The first scan that is due, has its bars, and whose executions have been counted."""
    for wish in state.scans.values():
        if wish.due and wish.bars is not None and state.executions_seq >= wish.scan.executions_seq:
            return wish
    return None


# --- positions ------------------------------------------------------------------------------------


def on_order_filled(state: State, message: m.OrderFilled, context: Context[None]) -> Decided:
    change = message.qty if message.side is Side.BUY else -message.qty
    opened = WatchedPosition(
        symbol=message.symbol,
        strategy=message.strategy,
        qty=0,
        entry_session=message.session,
        time_stop_bars=message.time_stop_bars if message.purpose is Purpose.ENTRY else 0,
    )
    return _count_execution(_move_position(state, opened, change), context), ()


def on_position_adjusted(
    state: State, message: m.PositionAdjusted, context: Context[None]
) -> Decided:
    """A position found at the broker has no time stop; an adjusted one keeps its own."""
    found = WatchedPosition(
        symbol=message.symbol,
        strategy=message.strategy,
        qty=0,
        entry_session=context.trigger.session,
        time_stop_bars=0,
    )
    return _count_execution(_move_position(state, found, message.qty), context), ()


def on_position_rescaled(
    state: State, message: m.PositionRescaled, context: Context[None]
) -> Decided:
    """A split changes the shares, not the day of the entry."""
    change = message.qty - message.qty_before
    held = state.positions.get(message.symbol)
    return _count_execution(_move_position(state, held, change) if held else state, context), ()


def on_position_renamed(
    state: State, message: m.PositionRenamed, context: Context[None]
) -> Decided:
    held = state.positions.get(message.symbol)
    if held is None:
        return _count_execution(state, context), ()
    moved = replace(held, symbol=message.new_symbol)
    others = {name: each for name, each in state.positions.items() if name != message.symbol}
    state = replace(state, positions={**others, message.new_symbol: moved})
    return _count_execution(state, context), ()


def on_other_execution(state: State, message: m.Message, context: Context[None]) -> Decided:
    return _count_execution(state, context), ()


def _move_position(state: State, unheld: WatchedPosition, change: int) -> State:
    """Add shares to a position, or to `unheld` if it is not held; one without shares is dropped."""
    position = state.positions.get(unheld.symbol, unheld)
    qty = position.qty + change
    others = {symbol: each for symbol, each in state.positions.items() if symbol != unheld.symbol}
    return replace(
        state, positions={**others, unheld.symbol: replace(position, qty=qty)} if qty else others
    )


def _count_execution(state: State, context: Context[None]) -> State:
    return replace(state, executions_seq=max(state.executions_seq, context.trigger.seq))


# --- scans ----------------------------------------------------------------------------------------


def on_scan_due(state: State, message: m.ScanDue, context: Context[None]) -> Decided:
    wish = state.scans.get(message.scan.id) or PendingScan(scan=message.scan)
    return replace(state, scans={**state.scans, message.scan.id: replace(wish, due=True)}), ()


def on_bars_ready(state: State, message: m.BarsReady, context: Context[None]) -> Decided:
    """Bars may come before the scan they are for: streams are read one after the other."""
    if message.scan is None:
        return state, ()
    wish = state.scans.get(message.scan.id) or PendingScan(scan=message.scan)
    return replace(state, scans={**state.scans, message.scan.id: replace(wish, bars=message)}), ()


def on_scan_result(state: State, outcome: ScanResult, context: Context[None]) -> Decided:
    if outcome.scan.id not in state.scans:
        return state, ()
    scans = {key: wish for key, wish in state.scans.items() if key != outcome.scan.id}
    return replace(state, scans=scans), tuple(_parts(outcome))


def _parts(found: ScanResult) -> Iterable[Outgoing]:
    """Exits first, then signals; at least one part, so that an empty scan goes on too.

    A scan that would need more parts than the gate takes keeps its exits and loses its entries.
    """
    chunks = _chunks([*found.exits, *found.signals])
    if len(chunks) > MAX_PARTS:
        why = f"{len(found.signals)} signals are more than one scan may carry"
        found, chunks = replace(found, signals=(), aborted=why), _chunks(found.exits)
    for number, chunk in enumerate(chunks, start=1):
        part = m.ScanCompleted(
            scan=found.scan,
            part=number,
            parts=len(chunks),
            exits=tuple(each for each in chunk if isinstance(each, Exit)),
            signals=tuple(each for each in chunk if isinstance(each, Signal)),
            bars_digest=found.bars_digest,
            aborted=found.aborted,
        )
        yield Outgoing(part, found.scan.session, found.scan.id)


def _chunks(everything: Iterable[Exit | Signal]) -> list[list[Exit | Signal]]:
    chunks: list[list[Exit | Signal]] = [[]]
    size = 0
    for each in everything:
        size += len(canonical(each))
        if chunks[-1] and (size > PART_BYTES or len(chunks[-1]) == MAX_ENTRIES):
            chunks.append([])
            size = len(canonical(each))
        chunks[-1].append(each)
    return chunks


# --- what people see ------------------------------------------------------------------------------


def gauges(state: State) -> Iterable[MetricSample]:
    yield MetricSample(
        "kobe_positions_watched", float(len(state.positions)), help="Positions watched for exits"
    )
    yield MetricSample(
        "kobe_scans_pending", float(len(state.scans)), help="Scans due and not completed"
    )


def counters(strategies: Iterable[str]) -> tuple[CounterSpec, ...]:
    return (
        CounterSpec("kobe_signals", "Signals found", label_sets(strategy=strategies)),
        CounterSpec("kobe_exits", "Exits found", label_sets(purpose=Purpose)),
        CounterSpec("kobe_scans_aborted", "Scans given up for want of bars"),
    )


def counts(message: m.Message) -> Iterable[MetricSample]:
    if not isinstance(message, m.ScanCompleted):
        return
    for signal in message.signals:
        yield MetricSample("kobe_signals", 1, {"strategy": signal.strategy})
    for each in message.exits:
        yield MetricSample("kobe_exits", 1, {"purpose": each.purpose.value})
    if message.aborted and message.part == 1:
        yield MetricSample("kobe_scans_aborted", 1)


HANDLERS = handler_table(
    on(m.OrderFilled, on_order_filled),
    on(m.PositionAdjusted, on_position_adjusted),
    on(m.PositionRescaled, on_position_rescaled),
    on(m.PositionRenamed, on_position_renamed),
    on(m.PositionDisputed, on_other_execution),
    on(m.FlatConfirmed, on_other_execution),
    on(m.FlatNotConfirmed, on_other_execution),
    on(m.OrderSubmitted, on_other_execution),
    on(m.OrderEnded, on_other_execution),
    on(m.OrderUnknown, on_other_execution),
    on(m.ProtectionPlaced, on_other_execution),
    on(m.AccountSeen, on_other_execution),
    on(m.ScanExecuted, on_other_execution),
    on(m.ScanDue, on_scan_due),
    on(m.BarsReady, on_bars_ready),
    on(ScanResult, on_scan_result),
)
