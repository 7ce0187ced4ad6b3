"""The whole system in one process: the same builders, handlers and work on MemoryBus.

Only the simulated broker has a thread of its own (its HTTP server); the fills are the same in every
run.
"""

from __future__ import annotations

import datetime as dt
import gc
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event
from typing import Any

import structlog

from services.console.stack.local_stack import ORDER, EmbeddedStack
from services.data_fetcher.__main__ import build as build_data_fetcher
from services.executor.__main__ import build as build_executor
from services.risk_gate.__main__ import build as build_gate
from services.scheduler.__main__ import build as build_scheduler
from services.signal_engine.__main__ import build as build_signal_engine
from services.sim_broker.__main__ import build_simulator
from services.sim_broker.http.app import create_app
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.clock import SystemClock
from shared.runtime.config.settings import Settings, load_settings
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.runtime.observability.health_server import Health, Server
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.provisioning.secret_files import init_secrets
from shared.runtime.runner.contract import Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.runner.wiring import Wiring
from shared.schemas.envelope import from_fields
from shared.schemas.messages import OrderFilled
from shared.schemas.streams import ServiceName, Stream

S = ServiceName
BUILDERS: dict[ServiceName, Callable[[Wiring], Service[Any, Any]]] = {
    S.DATA_FETCHER: build_data_fetcher,
    S.SIGNAL_ENGINE: build_signal_engine,
    S.RISK_GATE: build_gate,
    S.EXECUTOR: build_executor,
    S.SCHEDULER: build_scheduler,
}
Execution = tuple[dt.date, str, str, str, int, str]


def replay(folder: Path, changes: Mapping[str, Any]) -> list[Execution]:
    """Every fill of the replay, in order."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    stack = EmbeddedStack(folder, changes=changes, kill_file=folder / "KILL_SWITCH")
    stack._lay_out()
    secrets = folder / "secrets"
    for name in (*BUILDERS, "redis", "init", "console", "auditor"):
        (secrets / str(name)).mkdir(parents=True, exist_ok=True)
    init_secrets(secrets)
    server = MemoryServer(SystemClock())
    runners = {S.DATA_FETCHER: _runner(stack, server, S.DATA_FETCHER)}
    runners[S.DATA_FETCHER].start()
    broker = _broker(load_settings(stack.env(ORDER[0])), stack.ports[ORDER[0]])
    try:
        for name in BUILDERS:
            if name is not S.DATA_FETCHER:
                runners[name] = _runner(stack, server, name)
                runners[name].start()
        while not runners[S.SCHEDULER].state.finished:
            for runner in runners.values():
                runner.turn(0)
    finally:
        broker.stop()
        structlog.reset_defaults()
        _forget(runners)
    return executions(
        from_fields(fields)[1] for _, fields in server.stream(Stream.EXECUTIONS.key).entries
    )


def _forget(runners: dict[ServiceName, Runner[Any, Any]]) -> None:
    """A process closes its sockets and files by ending; here they are collected without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        runners.clear()
        gc.collect()


def executions(messages: Any) -> list[Execution]:
    return [
        (m.session, m.symbol, m.side.value, m.purpose.value, m.qty, str(m.price))
        for m in messages
        if isinstance(m, OrderFilled)
    ]


def _runner(stack: EmbeddedStack, server: MemoryServer, name: ServiceName) -> Runner[Any, Any]:
    settings, clock, metrics = (
        load_settings(stack.env(name)),
        server.clock,
        MetricRegistry(name.value),
    )
    settings.environment.state_dir.mkdir(parents=True, exist_ok=True)
    identity = Identity(
        settings.mode, settings.environment.account, settings.config_pin, settings.code_digest
    )
    bus, latch, health = MemoryBus(server, name, "one"), MemoryLatch(server, name), Health(clock)
    latch.refresh()
    log = structlog.get_logger()
    service = BUILDERS[name](
        Wiring(settings, identity, clock, bus, latch, metrics, health, log, Event())
    )
    seal = Sealer(name, identity, clock, service.sign)
    return Runner(
        service,
        bus=bus,
        latch=latch,
        seal=seal,
        clock=clock,
        metrics=metrics,
        health=health,
        log=log,
    )


def _broker(settings: Settings, port: int) -> Server:
    settings.environment.state_dir.mkdir(parents=True, exist_ok=True)
    app = create_app(
        build_simulator(settings),
        health=Health(SystemClock()),
        metrics=MetricRegistry("sim-broker"),
    )
    return Server(app, "127.0.0.1", port).start()
