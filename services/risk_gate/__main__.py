"""Starts the risk-gate: reads limits and sizing, takes its signing key, and runs."""

import datetime as dt
from collections.abc import Callable

from services.risk_gate.handlers import HANDLERS
from services.risk_gate.metrics import COUNTERS, counts, event, gauges
from services.risk_gate.state import GateSettings, State
from shared.domain.errors import InvalidMessage, UserError
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.rules import registry
from shared.runtime.clock import Clock
from shared.runtime.config.settings import CONFIG_PIN_ERROR, Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.runtime.signing import Signer
from shared.schemas.envelope import Envelope
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode

AHEAD = dt.timedelta(seconds=60)
"""The schedule's clock may be ahead of ours by so much: no session is mistaken for another."""


def gate_settings(settings: Settings) -> GateSettings:
    """The gate's own part of the settings. Raises UserError if limits or sizing make no sense."""
    config = settings.config
    return GateSettings(
        mode=settings.mode,
        account=settings.environment.account,
        config_pin=settings.config_pin,
        rules=registry.load(config.rules),
        sizing=_sizing(settings),
        rank=config.strategies.enabled,
        entry_ttl_seconds=config.orders.entry_ttl_seconds,
        exit_ttl_seconds=config.orders.exit_ttl_seconds,
        replay=config.timetable.clock == "replay",
        universe=config.universe.symbols,
        universe_maximum=config.universe.maximum,
    )


def _sizing(settings: Settings) -> Sizing:
    table = settings.config.sizing
    method = SizingMethod(table.method)
    try:
        return Sizing(method, table.per_order if method is SizingMethod.BUDGET else table.fraction)
    except ValueError as error:
        raise UserError(f"[sizing]: {error}.", exit_code=CONFIG_PIN_ERROR) from error


def only_of(mode: Mode, account: str, clock: Clock | None = None) -> Callable[[Envelope], None]:
    """A check that refuses what was written for another mode or account, or by a future schedule.

    Without a clock (in a replay) the schedule may write what it likes.
    """

    def verify(envelope: Envelope) -> None:
        if (envelope.mode, envelope.account) != (mode, account):
            addressed = f"{envelope.type} is for {envelope.mode} {envelope.account!r}"
            raise InvalidMessage(f"{addressed}, not {mode} {account!r}")
        if clock and envelope.stream is Stream.SCHEDULE and envelope.at > clock.now() + AHEAD:
            raise InvalidMessage(f"{envelope.type} was written at {envelope.at}, in the future")

    return verify


def build(wiring: Wiring) -> Service[State, GateSettings]:
    settings = gate_settings(wiring.settings)
    return Service(
        name=ServiceName.RISK_GATE,
        initial=State(),
        handlers=HANDLERS,
        settings=settings,
        verify=only_of(settings.mode, settings.account, None if settings.replay else wiring.clock),
        sign=Signer.load(wiring.settings.environment.signing_key_file).sign,
        kill_fenced=True,
        event=event,
        gauges=gauges(settings),
        counters=COUNTERS,
        counts=counts,
    )


if __name__ == "__main__":
    run_service(ServiceName.RISK_GATE, build)
