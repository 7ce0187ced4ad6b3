"""The gate as its process runs it, on a memory server: real loop, lease, codec, signatures."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.risk_gate.__main__ import only_of
from services.risk_gate.handlers import HANDLERS
from services.risk_gate.metrics import COUNTERS, counts, event, gauges
from services.risk_gate.state import GateSettings, State
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.clock import ManualClock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.contract import Service
from shared.runtime.runner.runner import Runner
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.signing import Signer
from shared.schemas import messages as m
from shared.schemas.envelope import Envelope, from_fields, to_fields
from shared.schemas.streams import STREAM_OF, ServiceName, Stream
from tests.builders import envelope, scan_ref
from tests.unit.risk_gate.desk import gate_settings
from tests.unit.runtime.service_bench import StillLatch

GATE = ServiceName.RISK_GATE


@dataclass
class Floor:
    """`bus` and `metrics` are those of the gate started last."""

    settings: GateSettings = field(default_factory=gate_settings)
    clock: ManualClock = field(
        default_factory=lambda: ManualClock(scan_ref().slot_at + dt.timedelta(seconds=1))
    )
    signer: Signer = field(default_factory=Signer.generate)
    written: int = 0

    def __post_init__(self) -> None:
        self.server = MemoryServer(self.clock)
        self.latch = StillLatch(self.server.kill_view(), self.server.kill_view)

    def gate(self, instance: str = "one") -> Runner[State, GateSettings]:
        identity = Identity(
            self.settings.mode, self.settings.account, self.settings.config_pin, "code"
        )
        service = Service(
            name=GATE,
            initial=State(),
            handlers=HANDLERS,
            settings=self.settings,
            verify=only_of(self.settings.mode, self.settings.account),
            sign=self.signer.sign,
            kill_fenced=True,
            event=event,
            gauges=gauges(self.settings),
            counters=COUNTERS,
            counts=counts,
        )
        self.bus = MemoryBus(self.server, GATE, instance)
        self.metrics = MetricRegistry(GATE.value)
        return Runner(
            service,
            bus=self.bus,
            latch=self.latch,
            seal=Sealer(GATE, identity, self.clock, self.signer.sign),
            clock=self.clock,
            metrics=self.metrics,
            health=Health(self.clock),
            log=structlog.get_logger(),
        )

    def write(self, message: m.Message, **changes: Any) -> None:
        """On its stream, by its writer."""
        self.written += 1
        stream = STREAM_OF[type(message)]
        values = {"seq": self.written, "at": self.clock.now(), **changes}
        self.server.append(stream.key, to_fields(envelope(message, **values)))

    def envelopes(self) -> list[Envelope]:
        return [
            from_fields(fields)[0] for _, fields in self.server.stream(Stream.ORDERS.key).entries
        ]

    def orders(self) -> list[m.Message]:
        return [
            from_fields(fields)[1] for _, fields in self.server.stream(Stream.ORDERS.key).entries
        ]


def turned(gate: Runner[State, GateSettings], times: int = 3) -> Runner[State, GateSettings]:
    for _ in range(times):
        gate.turn(0)
    return gate


def started(gate: Runner[State, GateSettings]) -> Runner[State, GateSettings]:
    assert gate.start()
    return gate
