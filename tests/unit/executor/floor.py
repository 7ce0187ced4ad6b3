"""The executor's trading floor in one process: all is real but the bus and the broker."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from services.executor.brokers.protocol import Broker
from services.executor.handlers import HANDLERS
from services.executor.metrics import COUNTERS, counts, event, gauges
from services.executor.orders.journal import OrderJournal
from services.executor.orders.state import ExecutorSettings, State
from services.executor.work import ExecutorWork
from shared.domain.trading import ids
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.clock import ManualClock
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.runtime.kill.resume import resume_in_memory
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.contract import Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import (
    Message,
    OrderApproved,
    ReconcileDue,
    ScanDecided,
    SessionOpened,
)
from shared.schemas.streams import STREAM_OF, WRITER, ServiceName
from shared.schemas.values import Mode, Phase, Purpose, Side, Slot, Stage
from tests.builders import NOON, SESSION, approval, envelope
from tests.fakes import KeptLog
from tests.operator_keys import Operator
from tests.unit.executor.fake_broker import FakeBroker

M = TypeVar("M", bound=Message)
EXECUTOR = ServiceName.EXECUTOR


OPERATOR = Operator()


class Floor:
    """`restart` is a crash and a new process: only server, journal file and broker remain."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder, self.clock = folder, ManualClock(NOON)
        self.server, self.broker = MemoryServer(self.clock), FakeBroker(self.clock)
        self.settings = ExecutorSettings(mode=Mode.SIM, account="sim", config_pin="pin", **changes)
        self.log = KeptLog()
        self.numbers: dict[ServiceName, int] = {}
        self.scans = 0
        self._start()

    @property
    def traded_with(self) -> Broker:
        return self.broker

    def _start(self) -> None:
        self.journal = OrderJournal(self.folder / "journal.sqlite")
        self.latch = MemoryLatch(self.server, EXECUTOR, check=OPERATOR.check())
        self.bus = MemoryBus(self.server, EXECUTOR, "one")
        self.work = ExecutorWork(
            broker=self.traded_with,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
            lease_left=self.bus.lease_left,
            log=self.log,
        )
        service = Service(
            name=EXECUTOR,
            initial=State(),
            handlers=HANDLERS,
            settings=self.settings,
            work=self.work,
            event=event,
            gauges=gauges,
            counters=COUNTERS,
            counts=counts,
        )
        self.metrics = MetricRegistry("executor")
        self.runner = Runner(
            service,
            bus=self.bus,
            latch=self.latch,
            seal=Sealer(EXECUTOR, Identity(Mode.SIM, "sim", "pin", "code"), self.clock),
            clock=self.clock,
            metrics=self.metrics,
            health=Health(self.clock),
            log=self.log,
        )

    # --- driving ----------------------------------------------------------------------------------

    def open(self) -> Floor:
        """Started, session open, all that brings said and done."""
        assert self.runner.start()
        self.hear(SessionOpened(session=SESSION, previous=None, opens_at=NOON, closes_at=NOON))
        return self.run()

    def open_later(self, days: int = 3) -> dt.date:
        """The next session, so many days later; the lease is won again as after a night."""
        session = (self.state.session or SESSION) + dt.timedelta(days=days)
        self.clock.advance(days * 86_400)
        assert self.runner.start()
        opened = SessionOpened(session=session, previous=None, opens_at=NOON, closes_at=NOON)
        self.hear(opened, session=session)
        self.run()
        return session

    def restart(self) -> Floor:
        self.journal.close()
        self._start()
        assert self.runner.start()
        return self.run()

    def resume(self) -> Floor:
        """The operator has looked, and clears all kills so far."""
        last = self.server.kill_view().last_id
        assert last is not None
        resume_in_memory(self.server, *OPERATOR.resume(last), OPERATOR.check())
        return self

    def hear(self, *messages: Message, **changes: Any) -> None:
        for message in messages:
            writer = WRITER[STREAM_OF[type(message)]]
            self.numbers[writer] = self.numbers.get(writer, 0) + 1
            sealed = envelope(
                message, **{"seq": self.numbers[writer], "at": self.clock.now(), **changes}
            )
            self.server.append(sealed.stream.key, to_fields(sealed))

    def run(self, seconds: float = 0.0) -> Floor:
        """Turns until nothing is left to do, and then for so long, step by step."""
        self._settle()
        until = self.clock.elapsed + seconds
        while self.clock.elapsed < until:
            self.clock.advance(min(0.25, until - self.clock.elapsed))
            self._settle()
        return self

    def _settle(self) -> None:
        for _ in range(50):
            if not self.runner.turn(0):
                return
        raise AssertionError("the executor does not come to rest")

    # --- what the gate says -----------------------------------------------------------------------

    def approve_in(self, session: dt.date, symbol: str) -> OrderApproved:
        """An approval in a session of its own."""
        return self.approve(symbol, sealed={"session": session})

    def approve(
        self, symbol: str = "AAPL", *, sealed: dict[str, Any] | None = None, **changes: Any
    ) -> OrderApproved:
        """An approval with ids of its own; expires 15 s from now."""
        self.scans += 1
        digest = ids.order_digest(f"signal of {symbol}", self.scans)
        values: dict[str, Any] = {
            "symbol": symbol,
            "client_order_id": ids.client_order_id(digest),
            "decision_id": f"DEC_{self.scans}_{symbol}",
            "expires_at": self.clock.now() + dt.timedelta(seconds=15),
        }
        message = approval(**{**values, **changes})
        self.hear(message, **(sealed or {}))
        return message

    def approve_exit(self, symbol: str = "AAPL", **changes: Any) -> OrderApproved:
        values: dict[str, Any] = {
            "side": Side.SELL,
            "purpose": Purpose.TIME_EXIT,
            "limit_price": Decimal("179.90"),
            "protection": None,
            "expires_at": self.clock.now() + dt.timedelta(seconds=300),
        }
        return self.approve(symbol, **{**values, **changes})

    def decide(
        self, approved: int, phase: Phase = Phase.ENTRIES, *, scan_id: str = "SCAN_20240105_143500"
    ) -> None:
        self.hear(
            ScanDecided(
                scan_id=scan_id,
                slot=Slot.OPEN,
                phase=phase,
                approved=approved,
                denied=0,
                final=True,
            )
        )

    def reconcile(self, stage: Stage = Stage.OPEN) -> Floor:
        self.hear(ReconcileDue(session=SESSION, stage=stage))
        return self.run()

    def entered(self, symbol: str = "AAPL", **changes: Any) -> OrderApproved:
        message = self.approve(symbol, **changes)
        self.run()
        return message

    # --- what was said ----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        state: State = self.runner.state
        return state

    def said(self, kind: type[M]) -> list[M]:
        return [message for message in self.all_said() if isinstance(message, kind)]

    def all_said(self) -> list[Message]:
        return [
            from_fields(fields)[1] for _, fields in self.server.stream("kobe:executions").entries
        ]

    @property
    def halts(self) -> list[str]:
        return [fields["why"] for _, fields in self.server.stream("kobe:kill:log").entries][1:]

    def posts(self, client_order_id: str) -> int:
        return sum(request.client_order_id == client_order_id for request in self.broker.posts)
