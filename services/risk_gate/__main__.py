"""Starts the risk-gate: reads limits and sizing, takes its signing key, and runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.risk_gate.handlers import EVENTS, HANDLERS, counts, gauges
from services.risk_gate.state import GateSettings, State
from shared.domain.errors import UserError
from shared.domain.sizing import Sizing, SizingMethod
from shared.rules import drawdown, registry
from shared.runtime.contract import Sample, Service
from shared.runtime.main import Wiring, run_service
from shared.runtime.settings import CONFIG_PIN_ERROR, Settings
from shared.runtime.signing import Signer
from shared.schemas.streams import ServiceName


def gate_settings(settings: Settings) -> GateSettings:
    """The gate's own part of the settings; UserError for limits or sizing that make no sense."""
    steering = settings.steering
    rules = registry.load(steering.rules)
    limits: dict[str, Any] = {rule.name: rule.limits for rule in rules}
    return GateSettings(
        mode=settings.mode,
        account=settings.environment.account,
        config_pin=settings.config_pin,
        rules=rules,
        sizing=_sizing(settings),
        rank=steering.strategies.enabled,
        entry_ttl_seconds=steering.orders.entry_ttl_seconds,
        exit_ttl_seconds=steering.orders.exit_ttl_seconds,
        replay=steering.timetable.clock == "replay",
        daily_budget=limits["daily_notional"].maximum,
        breached=lambda book: drawdown.breached(book, limits["drawdown"]),
    )


def _sizing(settings: Settings) -> Sizing:
    table = settings.steering.sizing
    method = SizingMethod(table.method)
    try:
        return Sizing(method, table.per_order if method is SizingMethod.BUDGET else table.fraction)
    except ValueError as error:
        raise UserError(f"[sizing]: {error}.", exit_code=CONFIG_PIN_ERROR) from error


def build(wiring: Wiring) -> Service[State]:
    settings = gate_settings(wiring.settings)
    limit = Sample("kobe_gate_budget_limit_dollars", float(settings.daily_budget), help="Budget of a session")

    def shown(state: State) -> Iterable[Sample]:
        return (*gauges(state), limit)

    return Service(
        name=ServiceName.RISK_GATE,
        initial=State(),
        handlers=HANDLERS,
        settings=settings,
        sign=Signer.load(wiring.settings.environment.signing_key_file).sign,
        kill_fenced=True,
        events=EVENTS,
        gauges=shown,
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.RISK_GATE, build)
