"""Every way an approval can go ends its reservation: gate and executor, both real, on one server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import pytest
import structlog

from services.executor.brokers.protocol import SubmitAnswer, SubmitResult
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
from shared.schemas.streams import ServiceName, Stream, state_key
from shared.schemas.values import Mode, Quote, ScanRef, Signal, Stage
from tests.builders import SESSION, scan_ref
from tests.unit.executor.floor import Floor
from tests.unit.risk_gate.desk import completed, gate_settings, leave, signal

D = Decimal
GATE = ServiceName.RISK_GATE
PAST_EVERY_EXPIRY = 15 + 60 + 1


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


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def approve_one(pair: Pair) -> None:
    pair.scan(signal())
    assert len(pair.book.reservations) == 1
    assert pair.book.used == D("70.07")


def fill(pair: Pair) -> None:
    """Nothing special happens."""


def fill_in_part(pair: Pair) -> None:
    pair.floor.broker.shares["AAPL"] = 3


def miss_the_price(pair: Pair) -> None:
    pair.floor.broker.price["AAPL"] = D("11.00")


def reject(pair: Pair) -> None:
    answer = SubmitAnswer(SubmitResult.REJECTED, "not today")
    pair.floor.broker.script.append((answer, False))


def expire(pair: Pair) -> None:
    """The executor is down until nothing may be sent any more."""
    for _ in range(31):
        pair.floor.clock.advance(10)
        pair.judge()
    pair.floor.restart()


def kill(pair: Pair) -> None:
    pair.floor.latch.halt("stop")


def lose_the_approval(pair: Pair) -> None:
    pair.spoil(m.OrderApproved)


def lose_the_decision(pair: Pair) -> None:
    """The executor never learns that the scan is decided: it is never executed."""
    pair.spoil(m.ScanDecided)


def lose_both(pair: Pair) -> None:
    pair.spoil(m.OrderApproved)
    pair.spoil(m.ScanDecided)


def repeat_the_approval(pair: Pair) -> None:
    for _ in range(5):
        pair.repeat(m.OrderApproved)


def vanish(pair: Pair) -> None:
    """The POST is never answered, and the broker has never heard of it."""
    answer = SubmitAnswer(SubmitResult.UNKNOWN, "timeout")
    pair.floor.broker.script.append((answer, False))


def answer_late(pair: Pair) -> None:
    """The POST is never answered, but the broker has taken and filled it."""
    answer = SubmitAnswer(SubmitResult.UNKNOWN, "timeout")
    pair.floor.broker.script.append((answer, True))


def restart_the_executor(pair: Pair) -> None:
    pair.floor.restart()


def restart_the_gate(pair: Pair) -> None:
    pair.gate = pair.start_gate()


WAYS: list[tuple[Callable[[Pair], None], int]] = [
    (fill, 7),
    (fill_in_part, 3),
    (miss_the_price, 0),
    (reject, 0),
    (expire, 0),
    (kill, 0),
    (lose_the_approval, 0),
    (lose_the_decision, 7),
    (lose_both, 0),
    (repeat_the_approval, 7),
    (vanish, 0),
    (answer_late, 7),
    (restart_the_executor, 7),
    (restart_the_gate, 7),
]


@pytest.mark.parametrize(("way", "shares"), WAYS, ids=lambda each: getattr(each, "__name__", ""))
def test_whatever_becomes_of_an_entry_its_reservation_ends(
    pair: Pair, way: Callable[[Pair], None], shares: int
) -> None:
    approve_one(pair)
    way(pair)
    pair.run()
    pair.rest()
    assert pair.book.reservations == {}
    held = pair.book.positions.get("AAPL")
    assert (held.qty if held else 0) == shares
    assert pair.book.cash == pair.floor.broker.cash
    assert pair.book.used >= shares * D("10.00")


@pytest.mark.parametrize(("way", "shares"), WAYS, ids=lambda each: getattr(each, "__name__", ""))
def test_whatever_becomes_of_an_exit_what_is_left_may_leave_again(
    pair: Pair, way: Callable[[Pair], None], shares: int
) -> None:
    approve_one(pair)
    pair.run()
    pair.rest()
    held = pair.book.positions["AAPL"].qty
    pair.wait(60)
    pair.scan(exits=("AAPL",))
    assert [each.opens for each in pair.book.reservations.values()] == [False]
    way(pair)
    pair.run()
    pair.wait(300)
    pair.rest()
    assert pair.book.reservations == {}
    left = pair.book.positions.get("AAPL")
    assert pair.book.closable("AAPL") == (left.qty if left else 0)
    assert pair.book.cash == pair.floor.broker.cash
    assert held == 7


def test_an_executor_that_forgot_everything_leaves_no_reservation_and_no_budget(
    pair: Pair,
) -> None:
    approve_one(pair)
    pair.floor.run()
    pair.floor.server.hashes[state_key(ServiceName.EXECUTOR)].clear()
    pair.floor.restart()
    pair.run()
    pair.rest()
    assert pair.book.reservations == {}
    assert pair.book.used == D("70.07")
