"""The services of a simulation: real handlers and works, each in a host that can be crashed.

Bars and signals come from the story; everything between them and the broker is the product's own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any
from unittest import mock

import msgspec

from services.data_fetcher import handlers as fetcher
from services.executor import __main__ as executor
from services.executor.orders import next_action
from services.risk_gate import __main__ as gate
from services.scheduler import __main__ as scheduler, system_clock
from services.signal_engine import handlers as engine
from services.sim_broker.simulator import Simulator
from shared.domain.errors import TransientError
from shared.domain.trading.exits import WatchedPosition
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import Fenced
from shared.runtime.clock import Clock, ManualClock
from shared.runtime.config.settings import (
    DEFAULT_FILE,
    Settings,
    load_settings,
    read_document,
    with_changes,
)
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.contract import Outcome, Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.runner.wiring import Wiring
from shared.runtime.signing import Signer
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName
from shared.schemas.values import Direction, Exit, Mode, Purpose, Signal, Slot
from tests.fakes import KeptLog
from tests.operator_keys import Operator
from tests.simulate.market import StoryCalendar
from tests.simulate.story import PRICES, Entry, Story

S = ServiceName
ACCOUNT = "PA000001"
OPERATOR = Operator(Mode.PAPER, ACCOUNT)
STRATEGY = "donchian"
RECONCILE_SECONDS = 1800
"""Half an hour: the looks between are the same look again, and cost most of a simulated day."""
LEASE_SECONDS = 10 * 86_400.0
"""Leases have tests of their own; here time jumps from one event to the next."""
FOREVER = 3600.0
CENT = Decimal("0.01")


class SimulatedCrash(BaseException):
    """The process of a host ends here, as by SIGKILL."""


@cache
def base_settings() -> tuple[Settings, Path]:
    """Mode paper with our symbols and a slower look at the broker; the folder holds its files."""
    root = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="kobe-simulate-", dir=root))
    changes = {
        "paper.universe.list": "",
        "paper.universe.symbols": [*PRICES, "NEWA", "NEWB", "SPUN"],
        "timetable.reconcile_seconds": RECONCILE_SECONDS,
    }
    document = with_changes(read_document(DEFAULT_FILE), changes)
    (folder / "kobe.json").write_bytes(msgspec.json.encode(document))
    signer = Signer.generate()
    (folder / "signing.key").write_text(signer.private_text())
    (folder / "public_keys.json").write_bytes(
        msgspec.json.encode([signer.public_key(S.RISK_GATE.value)])
    )
    environ = {
        "KOBE_MODE": "paper",
        "KOBE_ACCOUNT": ACCOUNT,
        "KOBE_CONFIG": str(folder / "kobe.json"),
        "KOBE_SIGNING_KEY_FILE": str(folder / "signing.key"),
        "KOBE_PUBLIC_KEYS_FILE": str(folder / "public_keys.json"),
        "KOBE_KILL_FILE": str(folder / "KILL_SWITCH"),
    }
    return load_settings(environ), folder


def settings_in(folder: Path) -> Settings:
    """The same with a state folder of this simulation's own."""
    base, _ = base_settings()
    environment = msgspec.structs.replace(base.environment, state_dir=folder)
    return msgspec.structs.replace(base, environment=environment)


@contextlib.contextmanager
def wired_to(connection: Any) -> Iterator[None]:
    """Services that are built inside talk to this broker and know the story's days."""
    with (
        mock.patch.object(executor, "connect_broker", side_effect=lambda *_: connection()),
        mock.patch.object(scheduler, "Xnys", return_value=StoryCalendar()),
        mock.patch.object(next_action, "IDLE_SECONDS", FOREVER),
        mock.patch.object(system_clock, "LONGEST_WAIT", FOREVER),
    ):
        yield


# --- bars and signals -----------------------------------------------------------------------------


@dataclass
class StoryFetcher:
    """The data-fetcher's work: bars are always there, quotes are the broker's of this instant."""

    simulator: Simulator
    clock: Clock

    def recover(self, state: fetcher.State) -> None: ...

    def act(self, state: fetcher.State) -> Outcome | None:
        wish = next((each for each in state.quotes.values() if each.complete), None)
        if wish:
            found = {symbol: self.simulator.quote(symbol) for symbol in wish.symbols}
            value: object = fetcher.QuotesFetched(
                key=wish.key,
                quotes=tuple(each for each in found.values() if each),
                unquoted=tuple(symbol for symbol, each in found.items() if not each),
            )
            return Outcome(value, self.clock.now(), wish.scan.session, wish.scan.id)
        scan = next(iter(state.scans.values()), None)
        if scan:
            return Outcome(
                _bars(scan.last_completed, scan), self.clock.now(), scan.session, scan.id
            )
        if state.bars_due:
            return Outcome(_bars(state.bars_due, None), self.clock.now(), state.bars_due, "BARS")
        return None

    def wait(self, state: fetcher.State) -> float:
        return FOREVER


def _bars(through: dt.date, scan: Any) -> fetcher.BarsChecked:
    ready = m.BarsReady(
        scan=scan,
        through=through,
        digest="story",
        symbols=len(PRICES),
        coverage=Decimal(1),
        sufficient=True,
        stale=(),
        refused={},
    )
    return fetcher.BarsChecked(ready=ready, age_sessions=0)


@dataclass
class StoryEngine:
    """The signal-engine's work: the story's entries of a slot, and the time exits that are due."""

    story: Story
    simulator: Simulator
    clock: Clock
    extra: tuple[Entry, ...] = ()

    def recover(self, state: engine.State) -> None: ...

    def act(self, state: engine.State) -> Outcome | None:
        wish = engine.ready(state)
        if wish is None:
            return None
        scan = wish.scan
        entries = [
            each
            for each in (*self.story.elements, *self.extra)
            if isinstance(each, Entry) and (each.session, each.slot) == (scan.session, scan.slot)
        ]
        result = engine.ScanResult(
            scan=scan,
            exits=self._exits(state, scan.slot),
            signals=tuple(
                signal for each in entries if (signal := self._signal(each, scan.last_completed))
            ),
            bars_digest="story",
        )
        return Outcome(result, self.clock.now(), scan.session, scan.id)

    def wait(self, state: engine.State) -> float:
        return FOREVER

    def _signal(self, entry: Entry, last: dt.date) -> Signal | None:
        bar = self.simulator.exchange.bars.bar(entry.symbol, last)
        if bar is None:
            return None
        return Signal(
            session=last,
            symbol=entry.symbol,
            strategy=STRATEGY,
            direction=Direction.LONG,
            reference_price=bar.close,
            stop=(bar.close * entry.stop).quantize(CENT),
            target=(bar.close * entry.target).quantize(CENT) if entry.target else None,
            time_stop_bars=entry.time_stop,
            score=Decimal(1),
            reason="story",
        )

    def _exits(self, state: engine.State, slot: Slot) -> tuple[Exit, ...]:
        if slot is not Slot.CLOSE:
            return ()
        held = sorted(state.positions.values(), key=lambda each: each.symbol)
        return tuple(each for position in held if (each := self._exit(position)))

    def _exit(self, position: WatchedPosition) -> Exit | None:
        sessions = list(self.simulator.exchange.bars.sessions())
        today = self.clock.now().date()
        held = sum(position.entry_session <= each <= today for each in sessions)
        if not position.time_stop_bars or held < position.time_stop_bars:
            return None
        return Exit(
            symbol=position.symbol,
            strategy=position.strategy,
            direction=position.direction,
            purpose=Purpose.TIME_EXIT,
            entry_session=position.entry_session,
            bars_held=held,
        )


# --- hosts ----------------------------------------------------------------------------------------


@dataclass
class Host:
    """One service's process: it can be crashed, and is started again after a while."""

    name: ServiceName
    build: Callable[[Wiring], Service[Any, Any]]
    server: MemoryServer
    clock: ManualClock
    settings: Settings
    runner: Runner[Any, Any] | None = None
    resting_until: float = 0.0
    started_at: float = 0.0
    log: KeptLog = field(default_factory=KeptLog)

    @property
    def is_up(self) -> bool:
        return self.runner is not None and self.clock.monotonic() >= self.resting_until

    @property
    def state(self) -> Any:
        assert self.runner is not None
        return self.runner.state

    def start(self) -> None:
        metrics, health, log = MetricRegistry(self.name.value), Health(self.clock), self.log
        bus = MemoryBus(self.server, self.name, "one", lease_seconds=LEASE_SECONDS)
        latch = MemoryLatch(self.server, self.name, check=OPERATOR.check())
        settings = self.settings
        identity = Identity(settings.mode, ACCOUNT, settings.config_pin, settings.code_digest)
        service = self.build(
            Wiring(settings, identity, self.clock, bus, latch, metrics, health, log, Event())
        )
        self.runner = Runner(
            service,
            bus=bus,
            latch=latch,
            seal=Sealer(self.name, identity, self.clock, service.sign),
            clock=self.clock,
            metrics=metrics,
            health=health,
            log=log,
        )
        self._recover()

    def _recover(self) -> None:
        assert self.runner is not None
        self.started_at = self.clock.monotonic()
        try:
            self.runner.start()
        except TransientError as error:
            self._rest(error)

    def _rest(self, error: TransientError) -> None:
        """What the life cycle does: wait, then begin again at the lease."""
        self.resting_until = self.clock.monotonic() + max(0.2, error.retry_after or 1.0)

    def turn(self) -> bool:
        """One turn; True if anything was done. Raises SimulatedCrash at an armed point."""
        if self.clock.monotonic() < self.resting_until:
            return False
        if self.runner is None:
            self.start()
            return True
        if self.resting_until:
            self.resting_until = 0.0
            self._recover()
            return True
        try:
            return self.runner.turn(0)
        except TransientError as error:
            self._rest(error)
            return False
        except Fenced:
            self.resting_until = self.clock.monotonic() + 1.0
            return False

    def crash(self, delay: float) -> None:
        self.runner = None
        self.resting_until = self.clock.monotonic() + delay

    def wait(self) -> float:
        """Seconds until it wants to act by itself."""
        if self.clock.monotonic() < self.resting_until:
            return self.resting_until - self.clock.monotonic()
        if self.runner is None or self.resting_until:
            return 0.0
        work = self.runner.service.work
        return work.wait(self.runner.state) if work else FOREVER


def hosts_of(
    story: Story,
    extra: tuple[Entry, ...],
    *,
    server: MemoryServer,
    clock: ManualClock,
    simulator: Simulator,
    folder: Path,
) -> dict[ServiceName, Host]:
    """In the order in which they take turns."""

    def build_fetcher(wiring: Wiring) -> Service[Any, Any]:
        work = StoryFetcher(simulator, wiring.clock)
        return Service(S.DATA_FETCHER, fetcher.State(), fetcher.HANDLERS, None, work=work)

    def build_engine(wiring: Wiring) -> Service[Any, Any]:
        work = StoryEngine(story, simulator, wiring.clock, extra)
        return Service(S.SIGNAL_ENGINE, engine.State(), engine.HANDLERS, None, work=work)

    settings = settings_in(folder)
    builders: dict[ServiceName, Callable[[Wiring], Service[Any, Any]]] = {
        S.SCHEDULER: scheduler.build,
        S.DATA_FETCHER: build_fetcher,
        S.SIGNAL_ENGINE: build_engine,
        S.RISK_GATE: gate.build,
        S.EXECUTOR: executor.build,
    }
    return {name: Host(name, build, server, clock, settings) for name, build in builders.items()}
