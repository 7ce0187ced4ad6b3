"""The auditor's loop: read every stream by position, record, sync, publish. Decides nothing.

One sweep at most every tenth of a second (unless there is a backlog), so that syncs and blocks come
in batches.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Event

from services.auditor import adoption
from services.auditor.chain.chain_state import GENESIS, MISSING, STOPPED
from services.auditor.chain.checkpoints import Checkpoint
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain_writer import COUNTERS, Cadence, ChainWriter
from services.auditor.cosignature_watch import CosignatureWatch
from services.auditor.publisher import AuditPublisher
from services.auditor.stream_sweep import StreamEntry, sweep
from shared.domain.errors import UserError
from shared.runtime.bus.protocol import Bus
from shared.runtime.clock import Clock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.log import Log
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import MetricSample
from shared.runtime.runner.life_cycle import LifeCycle
from shared.runtime.runner.sealer import Sealer
from shared.runtime.signing import Signer
from shared.schemas import messages as m
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.schemas.streams import KILL_LOG

# Syncs come in batches: at most ten a second when there is little to record.
IDLE_SECONDS = 0.1
# Others measure the auditor's lag by its state; live stops at 30 s.
HEARTBEAT_SECONDS = 5.0
# What a person may want to prove tomorrow is under a signature today.
SEALED_AT_ONCE = {m.SessionClosed.__name__, m.KillCleared.__name__}


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
    witnesses: CosignatureWatch = field(default_factory=CosignatureWatch)
    _complete_at: dt.datetime | None = None
    _backlog: bool = False

    def __post_init__(self) -> None:
        self._life = LifeCycle(self.bus, self.clock, self.health, self.log)
        self._publisher = AuditPublisher(self.bus, self.seal, self.clock)
        self._writer = ChainWriter(self.journal, self.cadence, self.clock, self.metrics, self.log)
        self.metrics.declare(*COUNTERS)
        self.metrics.watch(self.gauges)

    def run(self, stop: Event) -> None:
        """Record until `stop` is set.

        Raises InvariantBroken if the disk and what is remembered of it contradict each other.
        """
        self._life.run(self, stop)

    def start(self) -> bool:
        """Win the lease; begin the chain, or see that it is the one that others remember."""
        record = self._life.take_lease()
        if record is None:
            return False
        self._publisher.adopt(record)
        published = adoption.PublishedChain.of(record.fields)
        if published:
            adoption.require_published(self.journal, published)
        self._begin(published)
        self._life.announce_start(fence=record.fence, height=self.journal.height)
        return True

    def turn(self) -> None:
        """One sweep; everything found is on disk, and published as such, when it returns."""
        self._life.keep_alive()
        began, before = self.clock.now(), self.journal.height
        seen = sweep(self.bus, self.journal.state.streams)
        self._writer.write([each.payload() for each in seen.found])
        if seen.complete:
            self._writer.write_overdue_gaps()
            self._complete_at = began
        self._backlog = not seen.complete
        if _is_urgent(seen.found):
            self._writer.seal()
        self._writer.seal_if_due()
        self._publish(self.journal.height - before)

    def pause(self) -> float:
        """Nothing while there is a backlog."""
        return 0.0 if self._backlog else IDLE_SECONDS

    def finish(self) -> None:
        """Record what is there and that it ends here, seal it, give the lease back."""
        self.turn()
        before = self.journal.height
        self._writer.write([{"type": STOPPED, "at": self._writer.now()}])
        self._writer.seal()
        self._publish(self.journal.height - before)
        self.bus.release()

    # --- beginning --------------------------------------------------------------------------------

    def _begin(self, published: adoption.PublishedChain | None) -> None:
        if self.journal.genesis is None:
            self.journal.remember()
            self._writer.write([self._genesis()])
            self._writer.seal()
        begun = self.journal.genesis or {}
        self._require_own(begun)
        self._writer.cadence = self.cadence.within(begun["cadence"])
        remembered = self.journal.memory.cosigned if self.journal.memory else 0
        self._writer.cosigned = max(remembered, self._writer.cosigned, self.witnesses.size)
        missing = adoption.missing_memories(self.journal, published, self.witnesses.latest)
        torn = self.journal.mend()
        if torn:
            self._writer.write([torn.payload(self._writer.now())])
        if missing:
            self.log.error("evidence_missing", where=missing)
            self._writer.write([{"type": MISSING, "at": self._writer.now(), "where": missing}])
        self._writer.sign_now()

    def _require_own(self, begun: JsonMapping) -> None:
        ours = self._genesis()
        for part in ("auditor_key", "mode", "account"):
            if begun.get(part) != ours[part]:
                raise UserError(
                    f"The chain in {self.journal.folder} was begun with {part} {begun.get(part)}, "
                    f"not {ours[part]}; give this auditor a folder of its own, or the key and "
                    "account the chain was begun with.",
                    exit_code=2,
                )

    def _genesis(self) -> JsonObject:
        identity = self.seal.identity
        return {
            "type": GENESIS,
            "mode": identity.mode.value,
            "account": identity.account,
            "config_pin": identity.config_pin,
            "auditor_key": {"key_id": self.signer.key_id, "public": self.signer.public.hex()},
            "cadence": self.cadence.payload(),
            "at": self._writer.now(),
        }

    # --- publishing -------------------------------------------------------------------------------

    def _publish(self, grown: int) -> None:
        """Say what is on disk, what is sealed and what is witnessed, or at least that we live."""
        messages: list[m.Message] = [self._block(grown)] if grown else []
        messages += [
            _checkpoint_message(each, self.journal.state.head or "")
            for each in self._writer.take_checkpoints()
        ]
        if vouched := self.witnesses.look():
            self._writer.cosigned = max(self._writer.cosigned, vouched.size)
            messages.append(vouched)
        if messages or self._publisher.idle_seconds() >= HEARTBEAT_SECONDS:
            self._publisher.publish(messages, self._facts())

    def _block(self, grown: int) -> m.Message:
        return m.BlockAppended(
            height=self.journal.height, head=self.journal.state.head or "", records=grown
        )

    # --- state ---------------------------------------------------------------------------------

    def _facts(self) -> JsonObject:
        """What `kobe:state:auditor` shows; writers trim behind `position:<stream>`, nobody else."""
        streams = self.journal.state.streams
        positions = {
            f"position:{name.removeprefix('kobe:')}": entry_id for name, entry_id in streams.items()
        }
        state = {
            "height": self.journal.height,
            "head": self.journal.state.head,
            "sealed": self.journal.sealed_size,
        }
        times = {"complete_at": self._complete_at, **self.witnesses.facts()}
        return {**positions, **state, **{name: fact for name, fact in times.items() if fact}}

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
                float(self.journal.sealed_size),
                help="Records under a checkpoint",
            ),
            MetricSample(
                "kobe_audit_lag_seconds",
                lag,
                help="Everything said before that long ago is on disk",
            ),
            MetricSample(
                "kobe_audit_last_append_timestamp_seconds",
                self._writer.appended_at,
                help="When records were last added",
            ),
            *self.witnesses.gauges(),
            MetricSample(
                "kobe_ready", float(not self.health.reasons), help="1 when ready to serve"
            ),
            MetricSample(
                "kobe_lease_fence",
                float(self._publisher.fence),
                help="Grows with every holder of the lease",
            ),
        ]


def _is_urgent(found: Iterable[StreamEntry]) -> bool:
    return any(
        each.stream == KILL_LOG or each.fields.get("type") in SEALED_AT_ONCE for each in found
    )


def _checkpoint_message(checkpoint: Checkpoint, head: str) -> m.Message:
    return m.CheckpointSigned(
        size=checkpoint.size, root=checkpoint.root.hex(), head=head, note=checkpoint.text
    )
