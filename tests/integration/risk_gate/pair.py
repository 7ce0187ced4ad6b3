"""A real gate and a real executor on one memory server; the rest of the house is the test."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import structlog

from services.risk_gate.__main__ import only_of
from services.risk_gate.handlers import HANDLERS
from services.risk_gate.state import GateSettings, State
from shared.domain.risk.book import Book
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.contract import Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode, Quote, ScanRef, Signal, Stage
from tests.builders import SESSION, scan_ref
from tests.unit.executor.floor import Floor
from tests.unit.risk_gate.desk import completed, gate_settings, leave

D = Decimal
GATE = ServiceName.RISK_GATE
PAST_EVERY_EXPIRY = 15 + 60 + 1
"""An entry lives 15 s; a minute later its reservation is overdue."""


@dataclass
class Pair:
    """A gate and an executor that hear each other; the rest of the house is the test."""

    folder: Path
    settings: GateSettings = field(default_factory=lambda: gate_settings(replay=False))

    def __post_init__(self) -> None:
        self.floor = Floor(self.folder)
        self.floor.broker.price["AAPL"] = D("10.00")
        self.gate = self.start_gate()
        self.floor.open()
        self.reconcile()

    def start_gate(self) -> Runner[State, GateSettings]:
        server, clock = self.floor.server, self.floor.clock
        service = Service(
            name=GATE,
            initial=State(),
            handlers=HANDLERS,
            settings=self.settings,
            verify=only_of(Mode.SIM, "sim"),
            kill_fenced=True,
        )
        gate = Runner(
            service,
            bus=MemoryBus(server, GATE, "one"),
            latch=MemoryLatch(server, GATE),
            seal=Sealer(GATE, Identity(Mode.SIM, "sim", "pin", "code"), clock),
            clock=clock,
            metrics=MetricRegistry(GATE.value),
            health=Health(clock),
            log=structlog.get_logger(),
        )
        assert gate.start()
        return gate

    @property
    def book(self) -> Book:
        return self.gate.state.book

    def judge(self) -> None:
        while self.gate.turn(0):
            pass

    def run(self) -> None:
        for _ in range(10):
            self.judge()
            self.floor.run()

    def reconcile(self) -> None:
        self.floor.hear(m.ReconcileDue(session=SESSION, stage=Stage.OPEN))
        self.run()

    def scan(self, *signals: Signal, exits: tuple[str, ...] = ()) -> None:
        """A scan is judged; the executor has not read the verdicts yet."""
        ref = self.ref()
        named = dict.fromkeys([*exits, *(each.symbol for each in signals)])
        now = self.floor.clock.now()
        quotes = tuple(Quote(symbol=name, bid=D("9.99"), ask=D("10.00"), at=now) for name in named)
        self.floor.hear(m.ScanDue(scan=ref))
        self.floor.hear(completed(ref, signals, [leave(name) for name in exits]))
        self.floor.hear(m.QuotesSeen(scan=ref, part=1, parts=1, quotes=quotes, unquoted=()))
        self.judge()

    def ref(self) -> ScanRef:
        now = self.floor.clock.now()
        return scan_ref(id=f"SCAN_20240105_{now:%H%M%S}", slot_at=now)

    def spoil(self, kind: type[m.Message]) -> None:
        """The last message of this kind on the orders stream can no longer be read."""
        entries = self.floor.server.stream(Stream.ORDERS.key).entries
        place = max(n for n, (_, each) in enumerate(entries) if each["type"] == kind.__name__)
        entry_id, fields = entries[place]
        entries[place] = (entry_id, {**fields, "data": "{}"})

    def repeat(self, kind: type[m.Message]) -> None:
        entries = self.floor.server.stream(Stream.ORDERS.key).entries
        fields = next(each for _, each in reversed(entries) if each["type"] == kind.__name__)
        self.floor.server.append(Stream.ORDERS.key, fields)

    def wait(self, seconds: int) -> None:
        """Both keep their leases."""
        for _ in range(seconds):
            self.floor.run(1)
            self.judge()

    def rest(self) -> None:
        """Long after: whatever could be sent has been, and the account is looked at again."""
        self.wait(PAST_EVERY_EXPIRY)
        self.reconcile()
