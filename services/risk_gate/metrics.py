"""What people see of the gate: gauges of its book, counts of verdicts, log event names. Pure."""

from collections.abc import Callable, Iterable

from services.risk_gate.state import GateSettings, State
from shared.runtime.observability.log import event_name
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.schemas import messages as m
from shared.schemas.values import Purpose, Reason, TradingState


def gauges(settings: GateSettings) -> Callable[[State], Iterable[MetricSample]]:
    """Gauges of a state under these settings."""
    limits = {rule.name: rule.limits for rule in settings.rules}
    daily = MetricSample(
        "kobe_gate_budget_limit_dollars",
        float(limits["daily_notional"].maximum),
        help="Budget a session",
    )

    def samples(state: State) -> Iterable[MetricSample]:
        book = state.book
        yield MetricSample(
            "kobe_gate_budget_used_dollars",
            float(book.used),
            help="Budget spent and reserved this session",
        )
        yield daily
        yield MetricSample("kobe_gate_cash_dollars", float(book.cash), help="Cash not reserved")
        yield MetricSample(
            "kobe_gate_positions_open", float(len(book.positions)), help="Positions the gate knows"
        )
        yield MetricSample(
            "kobe_gate_symbols_external",
            float(len(book.external)),
            help="Symbols in which the account holds other than our shares",
        )
        yield MetricSample(
            "kobe_gate_account_blocked", float(book.blocked), help="1 while the broker blocks us"
        )
        yield MetricSample(
            "kobe_gate_reservations_open",
            float(len(book.reservations)),
            help="Approvals not yet settled",
        )
        yield MetricSample(
            "kobe_gate_symbols_drifted", float(len(book.drifted)), help="Symbols to be acknowledged"
        )
        for each in TradingState:
            yield MetricSample(
                "kobe_gate_trading_state", float(book.trading_state is each), {"state": each.value}
            )

    return samples


COUNTERS = (
    CounterSpec(
        "kobe_gate_verdicts",
        "Intents judged: approved by purpose, denied by first reason",
        label_sets(verdict=["approved"], reason=Purpose)
        + label_sets(verdict=["denied"], reason=Reason),
    ),
)


def counts(message: m.Message) -> Iterable[MetricSample]:
    """One verdict, under its purpose if approved, under its first reason if denied."""
    if isinstance(message, m.OrderApproved):
        yield MetricSample(
            "kobe_gate_verdicts", 1, {"verdict": "approved", "reason": message.purpose.value}
        )
    if isinstance(message, m.OrderDenied):
        yield MetricSample(
            "kobe_gate_verdicts", 1, {"verdict": "denied", "reason": message.reasons[0].value}
        )


def event(message: m.Message) -> str:
    if isinstance(message, m.OrderDenied):
        return "skip_no_best_ask" if Reason.NO_QUOTE in message.reasons else "policy_veto"
    return event_name(message)
