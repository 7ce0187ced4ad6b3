"""What people see of the gate: gauges of its book, a count of verdicts, and the names of its log events. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from services.risk_gate.state import GateSettings, State
from shared.runtime.observability.samples import Sample
from shared.schemas import messages as m
from shared.schemas.values import Reason, TradingState


def gauges(settings: GateSettings) -> Callable[[State], Iterable[Sample]]:
    """Gauges of a state under these settings."""
    limits = {rule.name: rule.limits for rule in settings.rules}
    daily = Sample(
        "kobe_gate_budget_limit_dollars",
        float(limits["daily_notional"].maximum),
        help="Budget a session",
    )

    def shown(state: State) -> Iterable[Sample]:
        book = state.book
        yield Sample(
            "kobe_gate_budget_used_dollars",
            float(book.used),
            help="Budget spent and reserved this session",
        )
        yield daily
        yield Sample("kobe_gate_cash_dollars", float(book.cash), help="Cash not reserved")
        yield Sample(
            "kobe_gate_positions_open", float(len(book.positions)), help="Positions the gate knows"
        )
        yield Sample(
            "kobe_gate_reservations_open",
            float(len(book.reservations)),
            help="Approvals not yet settled",
        )
        yield Sample(
            "kobe_gate_symbols_drifted", float(len(book.drifted)), help="Symbols to be acknowledged"
        )
        for each in TradingState:
            yield Sample(
                "kobe_gate_trading_state", float(book.trading_state is each), {"state": each.value}
            )

    return shown


def counts(message: m.Message) -> Iterable[Sample]:
    """One verdict, under its purpose if approved, under its first reason if denied."""
    if isinstance(message, m.OrderApproved):
        yield Sample(
            "kobe_gate_verdicts", 1, {"verdict": "approved", "reason": message.purpose.value}
        )
    if isinstance(message, m.OrderDenied):
        yield Sample(
            "kobe_gate_verdicts", 1, {"verdict": "denied", "reason": message.reasons[0].value}
        )


def _denied(message: m.OrderDenied) -> str:
    return "skip_no_best_ask" if Reason.NO_QUOTE in message.reasons else "policy_veto"


EVENTS: dict[type, str | Callable[[Any], str]] = {m.OrderDenied: _denied}
