"""A service on a memory server, to be driven turn by turn in tests of the loop and of services."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import KillView
from shared.runtime.clock import ManualClock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.contract import Context, Decision, HandlerTable, Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.runner.watermark import Watermark
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import BarsDue, BarsReady, Message
from shared.schemas.streams import GENESIS_ID, ServiceName, Stream
from shared.schemas.values import Mode, Value
from tests.builders import NOON, envelope

IDENTITY = Identity(Mode.SIM, "sim", "pin", "code")


class Seen(Value, frozen=True, kw_only=True):
    count: int = 0
    wishes: dict[str, bool] = {}


class Fetched(Value, frozen=True, kw_only=True):
    name: str


def ready(through: dt.date) -> BarsReady:
    from decimal import Decimal

    return BarsReady(
        scan=None,
        through=through,
        digest="d",
        symbols=1,
        coverage=Decimal(1),
        sufficient=True,
        stale=(),
        refused={},
    )


def on_bars_due(state: Seen, message: BarsDue, context: Context[None]) -> Decision[Seen]:
    return Seen(count=state.count + 1, wishes=state.wishes), (ready(message.through),)


@dataclass
class StillLatch:
    """A latch that stands where it is put; `refresh` may move it."""

    seen: KillView
    on_refresh: Callable[[], KillView] | None = None
    halts: list[str] = field(default_factory=list)

    def reasons(self) -> tuple[str, ...]:
        return ("killed",) if self.halts or self.seen.last_id != GENESIS_ID else ()

    def view(self) -> KillView:
        return self.seen

    def halt(self, why: str) -> None:
        self.halts.append(why)

    def refresh(self) -> None:
        if self.on_refresh:
            self.seen = self.on_refresh()


@dataclass
class Bench:
    """One data-fetcher-shaped service on a memory server."""

    handlers: HandlerTable[Seen, None]
    work: Any = None
    kill_fenced: bool = False
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    def __post_init__(self) -> None:
        self.server = MemoryServer(self.clock)
        self.latch = StillLatch(self.server.kill_view(), self.server.kill_view)
        self.health = Health(self.clock)

    def runner(
        self, instance: str = "one", *, watermark: Watermark | None = None
    ) -> Runner[Seen, None]:
        name = ServiceName.DATA_FETCHER
        service = Service(
            name=name,
            initial=Seen(),
            handlers=self.handlers,
            settings=None,
            work=self.work,
            kill_fenced=self.kill_fenced,
        )
        return Runner(
            service,
            bus=MemoryBus(self.server, name, instance),
            latch=self.latch,
            seal=Sealer(name, IDENTITY, self.clock),
            clock=self.clock,
            metrics=MetricRegistry(name.value),
            health=self.health,
            log=structlog.get_logger(),
            watermark=watermark,
        )

    def schedule(self, message: Message, **changes: Any) -> None:
        self.server.append(Stream.SCHEDULE.key, to_fields(envelope(message, **changes)))

    def said(self, stream: Stream) -> list[Message]:
        return [from_fields(fields)[1] for _, fields in self.server.stream(stream.key).entries]
