"""Wires one service's process: settings, logs, probes, bus, kill latch, runner. Called by each `__main__`.

Here concrete classes are chosen; all else sees protocols. Every failure ends in one sentence and an exit code.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from typing import Any, NoReturn

from shared.domain.errors import InvariantBroken, UserError
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.contract import Service
from shared.runtime.http import Health, Server, probes
from shared.runtime.instance import instance_id
from shared.runtime.kill_latch import KillLatch
from shared.runtime.kill_line import RedisKillLine
from shared.runtime.kill_line import RedisKillLine
from shared.runtime.redis_bus import RedisBus
from shared.runtime.redis_connection import Address, RedisConnection
from shared.runtime.seal import Identity, Sealer
from shared.runtime.service import Runner
from shared.runtime.settings import Settings, load_settings
from shared.runtime.telemetry import Metrics, configure_logging, logger
from shared.schemas.streams import ServiceName

INVARIANT_EXIT = 70


@dataclass(frozen=True, slots=True)
class Wiring:
    """What a service's builder may use. `lease_left` gives the seconds for which side effects are surely ours."""

    settings: Settings
    clock: Clock
    latch: KillLatch
    metrics: Metrics
    health: Health
    log: Any
    lease_left: Callable[[], float]


Build = Callable[[Wiring], Service[Any]]


def run_service(name: ServiceName, build: Build) -> NoReturn:
    """Run until SIGTERM; the process's exit code says how it ended."""
    sys.exit(guarded(lambda: _run(name, build)))


def guarded(run: Callable[[], None]) -> int:
    """A person reads one sentence, never a traceback; a broken invariant has an exit code of its own."""
    try:
        run()
    except UserError as error:
        print(f"kobe: {error}", file=sys.stderr)
        return error.exit_code
    except InvariantBroken as error:
        logger().critical("invariant_broken", reason=str(error))
        return INVARIANT_EXIT
    except Exception as error:
        logger().critical("unforeseen", error=repr(error), exc_info=True)
        return 1
    return 0


def stop_on_signal() -> Event:
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def identity(settings: Settings) -> Identity:
    return Identity(settings.mode, settings.environment.account, settings.config_pin, settings.code_digest)


def _run(name: ServiceName, build: Build) -> None:
    settings = load_settings(os.environ)
    configure_logging(settings, name.value)
    clock, metrics, stop, log = SystemClock(), Metrics(name.value), stop_on_signal(), logger()
    health = Health(clock)
    environment = settings.environment
    server = Server(probes(health, metrics.registry), environment.http_host, environment.http_port).start()
    address = Address.parse(
        environment.redis_url, username=environment.redis_user, password=environment.redis_password.reveal()
    )
    with instance_id(environment.state_dir, name) as instance:
        latch = KillLatch(
            RedisKillLine(address),
            name,
            state_dir=environment.state_dir,
            kill_file=environment.kill_file,
            mode=settings.mode,
        )
        bus = RedisBus.connect(
            environment.redis_url,
            name,
            instance,
            username=environment.redis_user,
            password=environment.redis_password.reveal(),
        )
        latch.start()
        try:
            service = build(Wiring(settings, clock, latch, metrics, health, log, bus.lease_left))
            seal = Sealer(name, identity(settings), clock, service.sign)
            Runner(
                service, bus=bus, latch=latch, seal=seal, clock=clock, metrics=metrics, health=health, log=log
            ).run(stop)
        finally:
            latch.stop()
            server.stop()
            log.info("runner_stop")
