"""The whole stack in one process and one thread: the services' own handlers and work on MemoryBus.

Used by `kobe replay` and the parity tests. The simulated broker alone has a thread of its own, for
its HTTP server; the fills are the same in every run. It keeps no audit chain.
"""

import datetime as dt
import gc
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import structlog

from services.console.stack.local_stack import SIM_BROKER, EmbeddedStack
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
from shared.schemas.json_types import JsonMapping
from shared.schemas.messages import Message, OrderFilled
from shared.schemas.streams import ServiceName, Stream

S = ServiceName
LEASE_SECONDS = 86_400.0
"""Nobody could take a lease over; compiling kernels takes longer than those of a real stack."""
BUILDERS: dict[ServiceName, Callable[[Wiring], Service[Any, Any]]] = {
    S.DATA_FETCHER: build_data_fetcher,
    S.SIGNAL_ENGINE: build_signal_engine,
    S.RISK_GATE: build_gate,
    S.EXECUTOR: build_executor,
    S.SCHEDULER: build_scheduler,
}
CRITICAL = 50
"""Of structlog: a replay is silent but for what ends it."""


@dataclass(frozen=True, slots=True, order=True)
class Execution:
    """A fill, as any engine reports it; prices as text, exact."""

    session: dt.date
    symbol: str
    side: str
    purpose: str
    qty: int
    price: str


def replay(
    folder: Path, changes: JsonMapping, on_session: Callable[[int], None] = lambda _: None
) -> list[Execution]:
    """Every fill of a replay, in order; `folder` must be empty, `changes` as for EmbeddedStack."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(CRITICAL))
    stack = MemoryStack(EmbeddedStack(folder, changes=changes, kill_file=folder / "KILL_SWITCH"))
    try:
        stack.run(on_session)
        return executions(stack.messages(Stream.EXECUTIONS))
    finally:
        stack.close()
        structlog.reset_defaults()


def executions(messages: Iterable[Message]) -> list[Execution]:
    return [
        Execution(m.session, m.symbol, m.side.value, m.purpose.value, m.qty, str(m.price))
        for m in messages
        if isinstance(m, OrderFilled)
    ]


@dataclass
class MemoryStack:
    """The layout and settings are those of an embedded stack; nothing of it is started."""

    layout: EmbeddedStack
    server: MemoryServer = field(default_factory=lambda: MemoryServer(SystemClock()))
    runners: dict[ServiceName, Runner[Any, Any]] = field(default_factory=dict)
    broker: Server | None = None
    stopping: Event = field(default_factory=Event)

    def run(self, on_session: Callable[[int], None]) -> None:
        """From the first session to the last; `on_session` gets the number of sessions done."""
        self._start()
        scheduler, done = self.runners[S.SCHEDULER], 0
        while not scheduler.state.finished:
            for runner in self.runners.values():
                runner.turn(0)
            if scheduler.state.sessions_done > done:
                done = scheduler.state.sessions_done
                on_session(done)

    def messages(self, stream: Stream) -> Iterable[Message]:
        for _, fields in self.server.stream(stream.key).entries:
            yield from_fields(fields)[1]

    def close(self) -> None:
        """Stop the broker; sockets and files that a process would close by ending are collected."""
        self.stopping.set()
        if self.broker:
            self.broker.stop()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.runners.clear()
            gc.collect()

    def _start(self) -> None:
        """The data-fetcher first: the broker needs its archive."""
        self.layout.prepare()
        secrets = self.layout.folder / "secrets"
        for name in (*BUILDERS, "redis", "init", "console", "auditor"):
            (secrets / str(name)).mkdir(parents=True, exist_ok=True)
        init_secrets(secrets)
        for name in BUILDERS:
            self.runners[name] = self._runner(name)
            self.runners[name].start()
            if name is S.DATA_FETCHER:
                self.broker = self._start_broker()

    def _start_broker(self) -> Server:
        settings = self._settings(SIM_BROKER)
        app = create_app(
            build_simulator(settings),
            health=Health(SystemClock()),
            metrics=MetricRegistry(SIM_BROKER),
        )
        return Server(app, "127.0.0.1", self.layout.ports[SIM_BROKER]).start()

    def _settings(self, name: str) -> Settings:
        settings = load_settings(self.layout.env(name))
        settings.environment.state_dir.mkdir(parents=True, exist_ok=True)
        return settings

    def _runner(self, name: ServiceName) -> Runner[Any, Any]:
        settings, clock, metrics = (
            self._settings(name),
            self.server.clock,
            MetricRegistry(name.value),
        )
        identity = Identity(
            settings.mode, settings.environment.account, settings.config_pin, settings.code_digest
        )
        bus = MemoryBus(self.server, name, "one", lease_seconds=LEASE_SECONDS)
        latch = MemoryLatch(self.server, name)
        health, log = Health(clock), structlog.get_logger()
        latch.refresh()
        service = BUILDERS[name](
            Wiring(settings, identity, clock, bus, latch, metrics, health, log, self.stopping)
        )
        return Runner(
            service,
            bus=bus,
            latch=latch,
            seal=Sealer(name, identity, clock, service.sign),
            clock=clock,
            metrics=metrics,
            health=health,
            log=log,
        )
