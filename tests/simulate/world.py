"""One run of a story: services, broker and clock in one thread, watched at every instant."""

from __future__ import annotations

import contextlib
import datetime as dt
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from services.executor.brokers.alpaca.announcements import Announcements
from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.brokers.protocol import BrokerConnection
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import OrderRefusal
from services.sim_broker.exchange.world_events import BlockEvent, HaltEvent, WorldEvent
from services.sim_broker.fault_injection.kinds import FaultKind
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.domain.errors import TransientError
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.clock import ManualClock
from shared.runtime.crash_points import arm, disarm
from shared.runtime.kill.resume import resume_in_memory
from shared.schemas.streams import KILL_LOG, ServiceName, Stream
from shared.schemas.values import Slot, Stage
from tests.invariants import Violation
from tests.simulate.hosts import (
    ACCOUNT,
    OPERATOR,
    Host,
    SimulatedCrash,
    base_settings,
    hosts_of,
    wired_to,
)
from tests.simulate.market import StoryMarket, opens_at
from tests.simulate.story import CALM, SESSIONS, TRADING, Entry, Incident, Story
from tests.simulate.watch import Watch
from tests.simulate.wire import InProcessHttp, StoryWakeups, pause

S = ServiceName
CASH = Decimal(100_000)
STAGES = (
    (Stage.START, -1800.0),
    (Stage.OPEN, 0.0),
    (Stage.BAR, 2.5 * 3600),
    (Stage.CLOSE, (6 * 60 + 24.5) * 60),
    (Stage.MARK, 6.5 * 3600),
)
"""When the broker reaches each stage, in seconds after the open."""
PROBE = Entry(CALM, Slot.OPEN, "PROBE", Decimal("0.9"), Decimal("1.2"), 1)
"""After everything: a fresh, good signal must be executed."""
MOST_TURNS = 400
"""Rounds of turns at one instant; more is a service that never comes to rest."""
CORPORATE = frozenset({"split", "rename", "spin_off", "delist"})
ENDS = CALM, 7 * 3600.0


@dataclass(order=True)
class Event:
    at: dt.datetime
    rank: int
    act: Callable[[], None] = field(compare=False)


@dataclass
class Crash:
    """A point to be reached by one host; `action` is what happens there."""

    host: ServiceName
    point: str
    passes: int
    action: Callable[[], None]


class World:
    """`run` plays the story to its end; `violations` is what was wrong."""

    def __init__(self, story: Story, folder: Path) -> None:
        self.story = story
        self.clock = ManualClock(opens_at(TRADING[0]) - dt.timedelta(hours=1))
        self.server = MemoryServer(self.clock)
        exchange = Exchange(StoryMarket(story), cash=CASH, number=ACCOUNT, clock=self.clock)
        self.simulator = Simulator(exchange, clock=self.clock)
        self.simulator.advance(SESSIONS[0], Stage.MARK, None)
        app = create_app(self.simulator, test=True, clock=self.clock, sleep=pause)
        self.http = InProcessHttp(app, self.clock)
        self.wakeups = StoryWakeups()
        self.simulator.subscribe(self.wakeups.hear)
        self.hosts = hosts_of(
            story,
            (PROBE,),
            server=self.server,
            clock=self.clock,
            simulator=self.simulator,
            folder=folder,
        )
        self.watch = Watch(self)
        self.crashes: list[Crash] = []
        self.has_repeated = False
        self._events = sorted(self._plan())
        self._running: Host | None = None

    @property
    def violations(self) -> list[Violation]:
        return self.watch.violations

    def connection(self) -> BrokerConnection:
        broker = AlpacaBroker(
            self.http,  # type: ignore[arg-type]
            budget=RequestWindow(per_minute=180, reserved=30, clock=self.clock),
            clock=self.clock,
            announcements=Announcements(self.http),  # type: ignore[arg-type]
        )
        return BrokerConnection(broker, self.wakeups)

    # --- the course of it -------------------------------------------------------------------------

    def run(self) -> list[Violation]:
        """Play the story, let everything heal, and check what must then hold."""
        end = opens_at(ENDS[0]) + dt.timedelta(seconds=ENDS[1])
        with wired_to(self.connection):
            try:
                for host in self.hosts.values():
                    host.start()
                while self.clock.now() < end and not self.watch.is_over:
                    self._happen()
                    self._settle()
                    self.watch.look()
                    self._sleep(end)
                if not self.watch.is_over:
                    self.watch.look_at_rest()
            finally:
                disarm()
                self.http.forget()
        return self.violations

    def _happen(self) -> None:
        self.http.go_on()
        while self._events and self._events[0].at <= self.clock.now():
            self._events.pop(0).act()

    def _settle(self) -> None:
        """Let every host take turns until none has anything to do."""
        for _ in range(MOST_TURNS):
            turns = [self._turn(host) for host in self.hosts.values()]
            if not any(turns):
                return
            if self.watch.is_over:
                return
        self.watch.note("LIVE", f"the services never came to rest at {self.clock.now()}")

    def _turn(self, host: Host) -> bool:
        self._running = host
        self._arm()
        try:
            return host.turn()
        except SimulatedCrash:
            return True
        except Exception as error:  # noqa: BLE001  a service may fail in any way
            self.watch.note_failure(host, error)
            host.crash(1.0)
            return True
        finally:
            disarm()
            self._running = None

    def _sleep(self, end: dt.datetime) -> None:
        now = self.clock.now()
        waits = [host.wait() for host in self.hosts.values()]
        waits.append((end - now).total_seconds())
        if self._events:
            waits.append((self._events[0].at - now).total_seconds())
        if self.http.next_at is not None:
            waits.append(self.http.next_at - self.clock.monotonic())
        waits.append(self.watch.wait())
        self.clock.advance(max(0.001, min(waits)))

    # --- what happens when ------------------------------------------------------------------------

    def _plan(self) -> Iterator[Event]:
        for session in TRADING:
            for stage, seconds in STAGES:
                at = opens_at(session) + dt.timedelta(seconds=seconds)
                yield Event(at, 0, self._stage(session, stage))
        for incident in self.story.elements:
            if isinstance(incident, Incident):
                at = opens_at(incident.session) + dt.timedelta(seconds=incident.seconds)
                yield Event(at, 1, self._incident(incident))
        yield Event(opens_at(CALM) - dt.timedelta(minutes=60), 2, self._calm_down)

    def _stage(self, session: dt.date, stage: Stage) -> Callable[[], None]:
        def act() -> None:
            self.simulator.advance(session, stage, None)
            self.watch.on_stage(stage)

        return act

    def _calm_down(self) -> None:
        """Whoever caused trouble stops; the operator resumes."""
        self.simulator.clear_faults()
        self.crashes.clear()
        self.http.is_away = False
        self._schedule(BlockEvent(blocked=False))
        for symbol in self.simulator.exchange.book.account.listings.halted:
            self._schedule(HaltEvent(symbol=symbol, halted=False))
        self.watch.on_calm()
        self._resume()

    def _incident(self, incident: Incident) -> Callable[[], None]:
        details = dict(incident.details)
        kind = str(details.pop("kind"))
        special: dict[str, Callable[[dict[str, Any]], None]] = {
            "executor": self._crash_of(S.EXECUTOR),
            "risk-gate": self._crash_of(S.RISK_GATE),
            "scheduler": self._crash_of(S.SCHEDULER),
            "kill": lambda _: self._kill(),
            "resume": lambda _: self._resume(),
            "away": self._go_away,
            "again": self._deliver_again,
        }
        if kind in special:
            return lambda: special[kind](details)
        if kind in CORPORATE:
            following = SESSIONS[SESSIONS.index(incident.session) + 1]
            details["session"] = str(following)
        fault = msgspec.convert({"kind": kind, **details}, FaultKind | WorldEvent, strict=False)
        return lambda: self._schedule(fault)

    def _schedule(self, fault: Any) -> None:
        refusal = self.simulator.schedule(fault)
        self.watch.on_fault(fault, refused=isinstance(refusal, OrderRefusal))

    def _crash_of(self, name: ServiceName) -> Callable[[dict[str, Any]], None]:
        def act(details: dict[str, Any]) -> None:
            delay = details.get("delay")

            def crash() -> None:
                self.hosts[name].crash(float(delay or 0))
                self.watch.on_crash(name, float(delay or 0))
                raise SimulatedCrash

            def lose() -> None:
                raise TransientError("the answer of Redis was lost")

            self.crashes.append(
                Crash(
                    name,
                    str(details["point"]),
                    int(details["nth"]),
                    lose if delay is None else crash,
                )
            )

        return act

    def _arm(self) -> None:
        """Arm the first point that is meant for the host whose turn it is."""
        for crash in self.crashes:
            if self._running and crash.host is self._running.name:
                arm(crash.point, self._passing(crash))
                return

    def _passing(self, crash: Crash) -> Callable[[], None]:
        def act() -> None:
            crash.passes -= 1
            if crash.passes > 0:
                arm(crash.point, act)
                return
            self.crashes.remove(crash)
            crash.action()

        return act

    def _kill(self) -> None:
        self.watch.on_kill()
        self.server.publish_kill("the story")

    def _resume(self) -> None:
        with contextlib.suppress(KeyError):
            last = self.server.stream(KILL_LOG).last_id
            resume_in_memory(self.server, *OPERATOR.resume(last), OPERATOR.check())
        self.watch.on_resume()

    def _go_away(self, details: dict[str, Any]) -> None:
        self.http.is_away = True
        self.watch.on_away(True)
        back = self.clock.now() + dt.timedelta(seconds=float(details["seconds"]))

        def come_back() -> None:
            self.http.is_away = False
            self.watch.on_away(False)

        self._events.append(Event(back, 0, come_back))
        self._events.sort()

    def _deliver_again(self, details: dict[str, Any]) -> None:
        """The last message of a stream arrives once more, byte for byte."""
        self.has_repeated = True
        stream = self.server.stream(Stream(str(details["stream"])).key)
        if stream.entries:
            self.server.append(Stream(str(details["stream"])).key, stream.entries[-1][1])


def play(story: Story) -> list[Violation]:
    """Run a story in a folder of its own."""
    _, base = base_settings()
    folder = Path(tempfile.mkdtemp(dir=base))
    try:
        return World(story, folder).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
