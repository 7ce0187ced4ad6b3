"""An auditor on a bus in memory, with a clock that moves when told.

It can be stopped and made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import structlog

from services.auditor.adoption import memories_of_witnesses
from services.auditor.chain.day_files import whole_lines
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.record import open_line
from services.auditor.chain.trust import Trust, witness_keys
from services.auditor.cosignature_watch import CosignatureWatch
from services.auditor.recorder import Recorder
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.clock import ManualClock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.runner.sealer import Identity, Sealer
from shared.runtime.signing import Signer
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import Message
from shared.schemas.streams import ServiceName, Stream
from shared.schemas.values import Mode
from tests.builders import NOON, approval, envelope
from tests.unit.auditor.chains import memory_of


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(NOON)
        self.server = MemoryServer(self.clock)
        self.signer, self.witness = Signer.generate(), Signer.generate()
        self.witnesses: list[Path] = []
        self.witness_keys = witness_keys({"witness": self.witness.public})
        self.metrics = MetricRegistry("auditor")
        self.recorder = self.make()

    def make(
        self, *, instance: str = "one", folder: Path | None = None, signer: Signer | None = None
    ) -> Recorder:
        witnesses = CosignatureWatch(self.witnesses, self.witness_keys, clock=self.clock)
        return Recorder(
            bus=MemoryBus(self.server, ServiceName.AUDITOR, instance),
            journal=ChainJournal(
                folder or self.folder,
                signer or self.signer,
                memory=memory_of(folder or self.folder),
                remembered=memories_of_witnesses(witnesses.latest),
            ),
            signer=signer or self.signer,
            witnesses=witnesses,
            seal=Sealer(ServiceName.AUDITOR, Identity(Mode.SIM, "sim", "pin", "code"), self.clock),
            clock=self.clock,
            metrics=self.metrics,
            health=Health(self.clock),
            log=structlog.get_logger(),
        )

    def start(self) -> Bench:
        assert self.recorder.start()
        return self

    def stop(self) -> None:
        self.recorder.journal.close()

    def again(self) -> None:
        """As after a crash: nothing is kept that was not on disk or in the bus."""
        self.stop()
        self.recorder = self.make()
        self.start()

    def pass_time(self, seconds: float) -> None:
        """Longer than the lease lasts: it is taken anew, as the loop does."""
        self.clock.advance(seconds)
        self.start()

    def orders(self, *numbers: int) -> None:
        for number in numbers:
            self.server.append(Stream.ORDERS.key, to_fields(envelope(approval(), seq=number)))

    def said(self, kind: type[Message]) -> list[Message]:
        entries = self.server.stream(Stream.AUDIT.key).entries
        return [
            message for _, fields in entries if isinstance(message := from_fields(fields)[1], kind)
        ]

    def payloads(self) -> Iterator[dict[str, object]]:
        head = None
        for line in whole_lines(self.folder):
            payload, head = open_line(line, head)
            yield payload

    @property
    def trust(self) -> Trust:
        return Trust(self.signer.public, self.witness_keys)

    def recorded(self, stream: str) -> list[str]:
        """The entry ids of a stream as they stand in the chain."""
        return [
            str(payload["entry_id"])
            for payload in self.payloads()
            if payload.get("stream") == stream
        ]
