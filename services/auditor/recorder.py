"""The auditor's loop: read every stream by position, record, sync, publish. Decides nothing.

One sweep at most every tenth of a second (unless there is a backlog), so that syncs and blocks come
in batches.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from services.auditor.chain.chain_state import GENESIS
from services.auditor.chain.checkpoints import (
    FILE,
    append_note,
    cut_torn_note,
    last_note,
    write_note,
)
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.record import chain_id
from services.auditor.chain.sequence_gaps import Gap
from services.auditor.publisher import AuditPublisher
from services.auditor.stream_sweep import StreamEntry, sweep
from shared.domain.errors import UserError
from shared.runtime.bus.protocol import Bus
from shared.runtime.clock import Clock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.log import Log
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.runtime.runner.life_cycle import LifeCycle
from shared.runtime.runner.sealer import Sealer
from shared.runtime.signing import Signer
from shared.schemas.messages import (
    BlockAppended,
    CheckpointSigned,
    KillCleared,
    Message,
    SessionClosed,
)
from shared.schemas.streams import KILL_LOG, ServiceName

# Syncs come in batches: at most ten a second when there is little to record.
IDLE_SECONDS = 0.1
# Others measure the auditor's lag by its state; live stops at 30 s.
HEARTBEAT_SECONDS = 5.0
# What a person may want to prove tomorrow is under a signature today.
SEALED_AT_ONCE = {SessionClosed.__name__, KillCleared.__name__}
COUNTERS = (
    CounterSpec("kobe_audit_records", "Records written to the chain"),
    CounterSpec(
        "kobe_audit_writer_gaps", "Numbers a writer left out", label_sets(writer=ServiceName)
    ),
)


@dataclass(frozen=True, slots=True)
class Cadence:
    """A checkpoint after so many records or seconds, whichever comes first."""

    records: int = 256
    seconds: int = 60


@dataclass
class Recorder:
    """One chain. `turn` is one sweep over all streams; `run` sweeps until told to stop."""

    bus: Bus
    journal: ChainJournal
    signer: Signer
    seal: Sealer
    clock: Clock
    metrics: MetricRegistry
    health: Health
    log: Log
    cadence: Cadence = field(default_factory=Cadence)
    _sealed_at: float = 0.0
    _sealed_size: int = 0
    _appended_at: float = 0.0
    _complete_at: dt.datetime | None = None
    _backlog: bool = False

    def __post_init__(self) -> None:
        self._life = LifeCycle(self.bus, self.clock, self.health, self.log)
        self._publisher = AuditPublisher(self.bus, self.seal, self.clock)
        self._notes = self.journal.folder / FILE
        cut_torn_note(self._notes)
        last = last_note(self._notes)
        self._sealed_size = last.size if last else 0
        self.metrics.declare(*COUNTERS)
        self.metrics.watch(self.gauges)

    def run(self, stop: Event) -> None:
        """Record until `stop` is set.

        Raises InvariantBroken if what is on disk, or what was announced, cannot be true.
        """
        self._life.run(self, stop)

    def start(self) -> bool:
        """Win the lease; begin the chain, or see that it is the one that was spoken of."""
        record = self._life.take_lease()
        if record is None:
            return False
        self._publisher.adopt(record, height=self.journal.height, head=self.journal.state.head)
        self._begin()
        self._life.announce_start(fence=record.fence, height=self.journal.height)
        return True

    def turn(self) -> None:
        """One sweep; everything found is on disk, and said to be, when it returns."""
        self._life.keep_alive()
        began = self.clock.now()
        seen = sweep(self.bus, self.journal.state.streams)
        grown = self._record([each.payload() for each in seen.found])
        if seen.complete:
            grown += self._note(self.journal.state.numbers.overdue_gaps())
            self._complete_at = began
        self._backlog = not seen.complete
        messages = [self._block(grown)] if grown else []
        if self._checkpoint_due(seen.found):
            messages.append(self._checkpoint())
        if messages or self._publisher.idle_seconds() >= HEARTBEAT_SECONDS:
            self._publisher.publish(messages, self._facts())

    def pause(self) -> float:
        """Nothing while there is a backlog."""
        return 0.0 if self._backlog else IDLE_SECONDS

    def finish(self) -> None:
        """What is there is written and sealed, then the lease is given back."""
        self.turn()
        if self.journal.height > self._sealed_size:
            self._publisher.publish([self._checkpoint()], self._facts())
        self.bus.release()

    # --- writing ----------------------------------------------------------------------------------

    def _record(self, payloads: Sequence[Mapping[str, Any]]) -> int:
        if not payloads:
            return 0
        repeated = self.journal.append(payloads, day=self.clock.now().date())
        self._appended_at = self.clock.now().timestamp()
        self.metrics.count("kobe_audit_records", len(payloads))
        return len(payloads) + self._note(repeated)

    def _note(self, gaps: list[Gap]) -> int:
        """A record for every number a writer left out, or used again; the number of records."""
        for gap in gaps:
            self.metrics.count("kobe_audit_writer_gaps", writer=gap.writer)
            self.log.error(
                "writer_gap", writer=gap.writer, first=gap.first, last=gap.last, kind=gap.kind
            )
        return self._record([gap.payload(self._now()) for gap in gaps])

    def _begin(self) -> None:
        if self.journal.genesis is None:
            self._record([self._genesis()])
        begun = self.journal.genesis or {}
        ours = self._genesis()
        for part in ("auditor_key", "mode", "account"):
            if begun.get(part) != ours[part]:
                raise UserError(
                    f"The chain in {self.journal.folder} was begun with {part} {begun.get(part)}, "
                    f"not {ours[part]}; give this auditor a folder of its own, or the key and "
                    "account the chain was begun with.",
                    exit_code=2,
                )
        if self.journal.torn_tail:
            self._record([self.journal.torn_tail.payload(self._now())])
            self.journal.torn_tail = None

    def _genesis(self) -> dict[str, Any]:
        identity = self.seal.identity
        return {
            "type": GENESIS,
            "mode": identity.mode.value,
            "account": identity.account,
            "config_pin": identity.config_pin,
            "auditor_key": {"key_id": self.signer.key_id, "public": self.signer.public.hex()},
            "at": self._now(),
        }

    # --- sealing ----------------------------------------------------------------------------------

    def _checkpoint_due(self, found: Sequence[StreamEntry]) -> bool:
        grown = self.journal.height - self._sealed_size
        if grown == 0:
            return False
        if (
            grown >= self.cadence.records
            or self.clock.monotonic() - self._sealed_at >= self.cadence.seconds
        ):
            return True
        return any(
            each.stream == KILL_LOG or each.fields.get("type") in SEALED_AT_ONCE for each in found
        )

    def _checkpoint(self) -> Message:
        size, root = self.journal.height, self.journal.state.tree.root()
        note = write_note(
            self.signer, chain_id=chain_id(self.journal.genesis or {}), size=size, root=root
        )
        append_note(self._notes, note)
        self.journal.keep_position()
        self._sealed_at, self._sealed_size = self.clock.monotonic(), size
        return CheckpointSigned(
            size=size, root=root.hex(), head=self.journal.state.head or "", note=note
        )

    def _block(self, grown: int) -> Message:
        return BlockAppended(
            height=self.journal.height, head=self.journal.state.head or "", records=grown
        )

    # --- state ---------------------------------------------------------------------------------

    def _facts(self) -> dict[str, Any]:
        """What `kobe:state:auditor` shows; writers trim behind `position:<stream>`, nobody else."""
        streams = self.journal.state.streams
        positions = {
            f"position:{name.removeprefix('kobe:')}": entry_id for name, entry_id in streams.items()
        }
        state = {
            "height": self.journal.height,
            "head": self.journal.state.head,
            "sealed": self._sealed_size,
        }
        complete = {"complete_at": self._complete_at} if self._complete_at else {}
        return {**positions, **state, **complete}

    def _now(self) -> str:
        return self.clock.now().isoformat()

    def gauges(self) -> list[MetricSample]:
        complete = self._complete_at
        lag = (self.clock.now() - complete).total_seconds() if complete else 0.0
        return [
            MetricSample(
                "kobe_audit_chain_height",
                float(self.journal.height),
                help="Records on disk and synced",
            ),
            MetricSample(
                "kobe_audit_last_checkpoint_size",
                float(self._sealed_size),
                help="Records under a checkpoint",
            ),
            MetricSample(
                "kobe_audit_lag_seconds",
                lag,
                help="Everything said before that long ago is on disk",
            ),
            MetricSample(
                "kobe_audit_last_append_timestamp_seconds",
                self._appended_at,
                help="When records were last added",
            ),
            MetricSample(
                "kobe_ready", float(not self.health.reasons), help="1 when ready to serve"
            ),
            MetricSample(
                "kobe_lease_fence",
                float(self._publisher.fence),
                help="Grows with every holder of the lease",
            ),
        ]
