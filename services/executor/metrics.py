"""What the executor shows of itself: gauges from its state, counters, names for its log. Pure."""

from collections.abc import Iterable

from services.executor.orders.state import State, unprotected_symbols
from shared.runtime.observability.log import event_name
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.schemas import messages as m
from shared.schemas.values import Ending, Purpose


def event(message: m.Message) -> str:
    return "order_submit" if isinstance(message, m.OrderSubmitted) else event_name(message)


def gauges(state: State) -> Iterable[MetricSample]:
    live = [order for order in state.orders.values() if order.live]
    yield MetricSample(
        "kobe_executor_open_orders", sum(order.rests for order in live), help="Orders in flight"
    )
    unknown = sum(order.unknown_at is not None for order in live)
    yield MetricSample(
        "kobe_executor_unknown_orders", unknown, help="Orders of which the broker must still tell"
    )
    yield MetricSample(
        "kobe_executor_waiting_orders",
        sum(order.waits for order in live),
        help="Orders not sent yet",
    )
    yield MetricSample("kobe_executor_positions_open", len(state.positions), help="Symbols held")
    bare = len(unprotected_symbols(state))
    yield MetricSample(
        "kobe_executor_positions_unprotected",
        bare,
        help="Symbols held without a resting protection",
    )
    differing = {*state.drifts, *state.disputes}
    yield MetricSample(
        "kobe_executor_drift_symbols",
        len(differing),
        help="Symbols on which broker and books disagree",
    )
    yield MetricSample(
        "kobe_executor_disputed_symbols",
        len(state.disputes),
        help="Symbols that wait for kobe adopt, release or acknowledge",
    )
    yield MetricSample(
        "kobe_executor_orphan_orders", len(state.strays), help="Orders of ours not followed"
    )
    yield MetricSample(
        "kobe_executor_foreign_orders", state.foreign_orders, help="Open orders that are not ours"
    )
    yield MetricSample(
        "kobe_executor_foreign_positions",
        len(state.external),
        help="Symbols with shares that are not ours",
    )
    yield MetricSample(
        "kobe_executor_unreadable_rows",
        len(state.unreadable),
        help="Rows of the broker's that made no sense",
    )
    yield MetricSample(
        "kobe_executor_realised_dollars",
        float(state.realised),
        help="Realised profit since the beginning",
    )
    if state.account:
        yield MetricSample(
            "kobe_executor_equity_dollars", float(state.account.equity), help="Equity at the broker"
        )
        yield MetricSample(
            "kobe_executor_cash_dollars", float(state.account.cash), help="Cash at the broker"
        )


COUNTERS = (
    CounterSpec(
        "kobe_executor_orders",
        "What became of orders at the broker",
        label_sets(event=["submitted", "protection", "unknown", *Ending]),
    ),
    CounterSpec("kobe_executor_fills", "Executions booked", label_sets(purpose=Purpose)),
    CounterSpec("kobe_executor_adjustments", "Positions corrected to the broker's"),
)


def counts(message: m.Message) -> Iterable[MetricSample]:
    match message:
        case m.OrderSubmitted():
            yield MetricSample("kobe_executor_orders", 1, {"event": "submitted"})
        case m.ProtectionPlaced():
            yield MetricSample("kobe_executor_orders", 1, {"event": "protection"})
        case m.OrderUnknown():
            yield MetricSample("kobe_executor_orders", 1, {"event": "unknown"})
        case m.OrderEnded():
            yield MetricSample("kobe_executor_orders", 1, {"event": message.ending.value})
        case m.OrderFilled():
            yield MetricSample("kobe_executor_fills", 1, {"purpose": message.purpose.value})
        case m.PositionAdjusted():
            yield MetricSample("kobe_executor_adjustments", 1, {})
