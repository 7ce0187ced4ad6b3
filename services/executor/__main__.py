"""Starts the executor: guards, broker, journal, work. Run by compose and by the demo."""

from prometheus_client import Histogram

from services.executor.brokers.protocol import BrokerConnection
from services.executor.brokers.registry import BrokerPlace, connect_broker
from services.executor.handlers import HANDLERS
from services.executor.metrics import COUNTERS, counts, event, gauges
from services.executor.orders.journal import OrderJournal
from services.executor.orders.state import ExecutorSettings, State
from services.executor.startup.audit_watch import LIMITS, AuditWatch
from services.executor.startup.live_guards import refuse_unarmed
from services.executor.startup.pin_watch import PinWatch
from services.executor.startup.signature_check import only_the_gate
from services.executor.work import ExecutorWork
from shared.runtime.config.settings import Settings
from shared.runtime.runner.contract import Service
from shared.runtime.runner.wiring import Wiring, run_service
from shared.runtime.signing import Keyring
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode

LATENCY_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def build(wiring: Wiring) -> Service[State, ExecutorSettings]:
    settings, environment = wiring.settings, wiring.settings.environment
    refuse_unarmed(settings.mode, environment.arm_file, environment.account, wiring.clock.now())
    connection = _connect(wiring)
    own = _own_settings(settings)
    latency = Histogram(
        "kobe_executor_post_seconds",
        "From sending an order to the broker's answer",
        registry=wiring.metrics.registry,
        buckets=LATENCY_BUCKETS,
    )
    journal = OrderJournal(environment.state_dir / "executor.sqlite")
    work = ExecutorWork(
        broker=connection.broker,
        journal=journal,
        latch=wiring.latch,
        clock=wiring.clock,
        settings=own,
        lease_left=wiring.lease_left,
        log=wiring.log,
        wakeups=connection.wakeups,
        changed_pin=PinWatch(settings),
        audit_watch=AuditWatch(
            lambda: wiring.bus.audit_progress(Stream.EXECUTIONS),
            wiring.clock,
            wiring.latch,
            LIMITS.get(settings.mode),
        ),
        observe_seconds=latency.observe,
    )
    keyring = Keyring.load(environment.public_keys_file)
    halt = wiring.latch.halt if settings.mode is Mode.LIVE else None
    return Service(
        name=ServiceName.EXECUTOR,
        initial=State(),
        handlers=HANDLERS,
        settings=own,
        work=work,
        verify=only_the_gate(keyring, wiring.log, halt=halt, keep=journal.keep_approval),
        event=event,
        gauges=gauges,
        counters=COUNTERS,
        counts=counts,
    )


def _own_settings(settings: Settings) -> ExecutorSettings:
    config = settings.config
    return ExecutorSettings(
        mode=settings.mode,
        account=settings.environment.account,
        config_pin=settings.config_pin,
        replay=settings.mode is Mode.SIM or config.timetable.clock == "replay",
        stepped=config.timetable.clock == "replay",
        ambiguous_in_a_row=config.executor.ambiguous_in_a_row,
        unknown_seconds=config.executor.unknown_seconds,
        flatten_on_kill=config.executor.flatten_on_kill,
    )


def _connect(wiring: Wiring) -> BrokerConnection:
    environment, limits = wiring.settings.environment, wiring.settings.config.broker
    place = BrokerPlace(
        mode=wiring.settings.mode,
        url=environment.broker_url,
        stream_url=environment.broker_stream_url,
        data_url=environment.broker_data_url,
        key_id=environment.broker_key_id,
        secret_key=environment.broker_secret_key,
        requests_per_minute=limits.requests_per_minute,
        reserved_requests=limits.reserved_requests,
        post_deadline_seconds=limits.post_deadline_seconds,
        clock=wiring.clock,
        log=wiring.log,
        test=environment.test,
    )
    return connect_broker(limits.name, place)


def main() -> None:
    run_service(ServiceName.EXECUTOR, build)


if __name__ == "__main__":
    main()
