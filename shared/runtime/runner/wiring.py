"""Wires one service's process: settings, logs, probes, bus, kill latch, runner.

Here concrete classes are chosen; all else sees protocols. Every failure ends in one sentence and an
exit code.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Event
from typing import NoReturn

from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.bus.protocol import Bus
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import Clock
from shared.runtime.config.settings import Settings, load_settings
from shared.runtime.crash_points import arm
from shared.runtime.kill.latch import KillLatch
from shared.runtime.kill.line import RedisKillLine
from shared.runtime.kill.protocol import Latch
from shared.runtime.kill.record import ResumeCheck
from shared.runtime.observability.health_server import Health, Server, probes
from shared.runtime.observability.log import Log, configure_logging, logger
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.provisioning.redis_preflight import refuse_unfit_by_info
from shared.runtime.recorded_time import clock_of
from shared.runtime.runner.contract import S, Service, State
from shared.runtime.runner.instance import instance_id
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.runner.watermark import Watermark
from shared.runtime.signing import Keyring
from shared.schemas.envelope import Envelope
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode

INVARIANT_EXIT = 70


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a service is built from. The latch listens already; `stop` is set by SIGTERM.

    `keyring` holds the pinned public keys; `address` is the server's, for further connections.
    """

    settings: Settings
    identity: Identity
    clock: Clock
    bus: Bus
    latch: Latch
    metrics: MetricRegistry
    health: Health
    log: Log
    stop: Event
    keyring: Keyring = field(default_factory=lambda: Keyring({}, {}))
    address: Address | None = None

    def lease_left(self) -> float:
        """Seconds for which side effects are surely ours."""
        return self.bus.lease_left()


def run_service(name: ServiceName, build: Callable[[Wiring], Service[State, S]]) -> NoReturn:
    """Run a service of handlers and work until SIGTERM, then exit with the code of its end."""
    run_process(name, lambda wiring: _loop(wiring, build(wiring)))


def run_process(name: ServiceName, run: Callable[[Wiring], None]) -> NoReturn:
    """The same for a service with a loop of its own (the auditor)."""
    sys.exit(exit_code_of(lambda: _run_with_wiring(name, run)))


def exit_code_of(run: Callable[[], None]) -> int:
    """Run it; a person reads one sentence, never a traceback."""
    try:
        run()
    except UserError as error:
        print(f"kobe: {error}", file=sys.stderr)
        return error.exit_code
    except InvariantBroken as error:
        logger().critical("invariant_broken", reason=str(error))
        return INVARIANT_EXIT
    except Exception as error:  # noqa: BLE001  logged, and the process ends
        logger().critical("unforeseen", error=repr(error), exc_info=True)
        return 1
    return 0


def stop_on_signal() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _await_redis(connection: RedisConnection, health: Health, stop: Event, log: Log) -> None:
    """Wait, unready, until Redis answers; UserError if it is not set up to hold orders."""
    while not stop.is_set():
        try:
            refuse_unfit_by_info(connection)
            health.mark_ready("redis")
            break
        except TransientError as error:
            health.beat()
            health.mark_unready("redis", str(error))
            log.warning("redis_awaited", error=str(error))
            stop.wait(error.retry_after or 1.0)
    connection.close()


def _loop(wiring: Wiring, service: Service[State, S]) -> None:
    watermark = Watermark(wiring.settings.environment.state_dir)
    Runner(
        replace(service, verify=_verifier(wiring, service.verify)),
        bus=wiring.bus,
        latch=wiring.latch,
        seal=Sealer(service.name, wiring.identity, wiring.clock, service.sign),
        clock=wiring.clock,
        metrics=wiring.metrics,
        health=wiring.health,
        log=wiring.log,
        watermark=watermark,
        keep_seconds=_keep_seconds(wiring.settings),
    ).run(wiring.stop)
    watermark.close()


def _verifier(wiring: Wiring, own: Callable[[Envelope], None] | None) -> Callable[[Envelope], None]:
    """The operator's messages must be signed, in every mode; then the service's own rule."""

    def verify(envelope: Envelope) -> None:
        if envelope.stream is Stream.CONTROL:
            wiring.keyring.verify(envelope)
        if own:
            own(envelope)

    return verify


def _keep_seconds(settings: Settings) -> float:
    """How long a stream keeps what is in the chain; a replay writes months in an hour."""
    return 3_600.0 if settings.config.timetable.clock == "replay" else 7 * 86_400.0


def _arm_crash(settings: Settings) -> None:
    """Only a test may ask for a crash, and only in mode sim."""
    environment = settings.environment
    if environment.crash and environment.test and settings.mode is Mode.SIM:
        arm(environment.crash)


def _run_with_wiring(name: ServiceName, run: Callable[[Wiring], None]) -> None:
    stop = stop_on_signal()
    settings = load_settings(os.environ)
    configure_logging(settings, name.value)
    _arm_crash(settings)
    environment, metrics = settings.environment, MetricRegistry(name.value)
    clock = clock_of(environment)
    health, log = Health(clock), logger()
    server = Server(
        probes(health, metrics.registry), environment.http_host, environment.http_port
    ).start()
    address = Address.parse(
        environment.redis_url,
        username=environment.redis_user,
        password=environment.redis_password.reveal(),
    )
    identity = Identity(
        settings.mode, environment.account, settings.config_pin, settings.code_digest
    )
    keyring = Keyring.load(environment.public_keys_file)
    with instance_id(environment.state_dir, name) as instance:
        bus = RedisBus(RedisConnection(address), name, instance)
        latch = KillLatch(
            RedisKillLine(address, name, instance),
            name,
            check=ResumeCheck(settings.mode, environment.account, keyring),
            state_dir=environment.state_dir,
            kill_file=environment.kill_file,
        )
        latch.start()
        try:
            _await_redis(RedisConnection(address), health, stop, log)
            run(
                Wiring(
                    settings,
                    identity,
                    clock,
                    bus,
                    latch,
                    metrics,
                    health,
                    log,
                    stop,
                    keyring,
                    address,
                )
            )
        finally:
            latch.stop()
            server.stop()
            log.info("runner_stop")
