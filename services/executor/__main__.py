"""Starts the executor: guards, broker, journal, stream, work. Run by compose and by the demo."""

from __future__ import annotations

from prometheus_client import Histogram

from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestBudget
from services.executor.brokers.alpaca.trade_updates import TradeUpdates
from services.executor.handlers import HANDLERS
from services.executor.metrics import counts, event, gauges
from services.executor.orders.journal import Journal
from services.executor.orders.state import ExecutorSettings, State
from services.executor.startup.live_guards import refuse_address, refuse_unarmed
from services.executor.startup.signature_check import only_the_gate
from services.executor.work import ExecutorWork
from shared.domain.errors import UserError
from shared.runtime.config.settings import Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.runtime.signing import Keyring
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode

LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def build(wiring: Wiring) -> Service[State, ExecutorSettings]:
    settings = wiring.settings
    environment = settings.environment
    key_id, secret = environment.broker_key_id.reveal(), environment.broker_secret_key.reveal()
    refuse_address(settings.mode, environment.broker_url, key_id, secret)
    refuse_unarmed(settings.mode, environment.arm_file, environment.account, wiring.clock.now())
    own = _own(settings)
    latency = Histogram(
        "kobe_executor_post_seconds",
        "From sending an order to the broker's answer",
        registry=wiring.metrics.registry,
        buckets=LATENCY_BUCKETS,
    )
    work = ExecutorWork(
        broker=_broker(wiring, key_id, secret),
        journal=Journal(environment.state_dir / "executor.sqlite"),
        latch=wiring.latch,
        clock=wiring.clock,
        settings=own,
        lease_left=wiring.lease_left,
        log=wiring.log,
        wakeups=TradeUpdates(
            environment.broker_stream_url, key_id=key_id, secret=secret, log=wiring.log
        ).start(),
        posted=latency.observe,
    )
    keyring = Keyring.load(environment.public_keys_file)
    halt = wiring.latch.halt if settings.mode is Mode.LIVE else None
    return Service(
        name=ServiceName.EXECUTOR,
        initial=State(),
        handlers=HANDLERS,
        settings=own,
        work=work,
        verify=only_the_gate(keyring, wiring.log, halt=halt),
        event=event,
        gauges=gauges,
        counts=counts,
    )


def _own(settings: Settings) -> ExecutorSettings:
    steering = settings.steering
    return ExecutorSettings(
        mode=settings.mode,
        account=settings.environment.account,
        config_pin=settings.config_pin,
        replay=settings.mode is Mode.SIM or steering.timetable.clock == "replay",
        ambiguous_in_a_row=steering.executor.ambiguous_in_a_row,
        unknown_seconds=steering.executor.unknown_seconds,
        flatten_on_kill=steering.executor.flatten_on_kill,
    )


def _broker(wiring: Wiring, key_id: str, secret: str) -> AlpacaBroker:
    limits = wiring.settings.steering.broker
    if limits.name != "alpaca":
        raise UserError(
            f"Unknown broker {limits.name!r} in kobe.toml; the one that exists is 'alpaca'.",
            exit_code=3,
        )
    headers = {
        "APCA-API-KEY-ID": key_id,
        "APCA-API-SECRET-KEY": secret,
        "Accept": "application/json",
    }
    return AlpacaBroker(
        DeadlineHttp(wiring.settings.environment.broker_url, headers),
        budget=RequestBudget(
            per_minute=limits.requests_per_minute,
            reserved=limits.reserved_requests,
            clock=wiring.clock,
        ),
        clock=wiring.clock,
        post_seconds=limits.post_deadline_seconds,
    )


def main() -> None:
    run_service(ServiceName.EXECUTOR, build)


if __name__ == "__main__":
    main()
