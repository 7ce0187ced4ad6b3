"""The auditor's loop: read every stream by position, write all of it down, sync, then say so. Decides nothing.

It reads by XRANGE and not as a group, so no other reader can acknowledge an entry away from it. Its own stream is
not recorded (it would never end); checkpoints stand in a file of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from services.auditor.checkpoints import append_note, write_note
from services.auditor.gaps import Gap, Sequence
from services.auditor.journal import Journal
from shared.domain.errors import TransientError
from shared.runtime.bus import Bus, Conflict, Fenced, Fields, StateRecord, Step, entry_order
from shared.runtime.clock import Clock
from shared.runtime.contract import Cause, Sample
from shared.runtime.http import Health
from shared.runtime.seal import Sealer
from shared.runtime.signing import Signer
from shared.runtime.telemetry import Metrics
from shared.schemas.envelope import canonical, to_fields
from shared.schemas.messages import BlockAppended, CheckpointSigned, Message
from shared.schemas.streams import DEAD, KILL_LOG, Stream

RECORDED = (*(stream for stream in Stream if stream is not Stream.AUDIT), KILL_LOG, DEAD)
BATCH = 512
IDLE_SECONDS = 0.05
RENEW_SECONDS = 3.0
STANDBY_SECONDS = 1.0
CHECKPOINT_AFTER = {"SessionClosed", "KillCleared"}


@dataclass(frozen=True, slots=True)
class Found:
    """One stream entry on its way into the chain."""

    stream: str
    entry_id: str
    fields: Fields

    def payload(self) -> dict[str, Any]:
        named = {name: self.fields[name] for name in ("writer", "type", "at") if name in self.fields}
        numbered = {"seq": int(self.fields["seq"])} if self.fields.get("seq", "").isdigit() else {}
        return {**named, **numbered, "stream": self.stream, "entry_id": self.entry_id, "message": dict(self.fields)}


@dataclass
class Recorder:
    """One chain. `turn` is one sweep over all streams; `run` sweeps until told to stop."""

    bus: Bus
    journal: Journal
    signer: Signer
    seal: Sealer
    clock: Clock
    metrics: Metrics
    health: Health
    log: Any
    chain_id: str
    checkpoint_records: int
    checkpoint_seconds: int
    _version: int = 0
    _fence: int = 0
    _seq: int = 0
    _renewed: float = 0.0
    _marked_at: float = 0.0
    _marked_size: int = 0
    _appended_at: float = 0.0
    _sequences: dict[str, Sequence] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sequences = {writer: Sequence(seq) for writer, seq in self.journal.position.writers.items()}
        self.metrics.watch(self.gauges)

    def run(self, stop: Event) -> None:
        while not stop.is_set():
            try:
                if not self.start():
                    stop.wait(STANDBY_SECONDS)
                    continue
                while not stop.is_set():
                    if not self.turn():
                        stop.wait(IDLE_SECONDS)
                self.turn()
                self.bus.release()
            except TransientError as error:
                self.health.not_ready("transient", str(error))
                stop.wait(error.retry_after or 0.5)
            except Fenced:
                self.health.not_ready("lease", "standby: another instance took the lease")

    def start(self) -> bool:
        """Win the lease; on the first start ever, write the genesis record."""
        self.health.beat()
        record = self.bus.acquire()
        if record is None:
            self.health.not_ready("lease", "standby: another instance holds the lease")
            self.health.ready("starting")
            return False
        self._adopt(record)
        if self.journal.height == 0:
            self.journal.append([self._genesis()], day=self.clock.now().date())
        if self.journal.recovered:
            lost = {"type": "Recovered", "at": self._now(), "torn_bytes": self.journal.recovered}
            self.journal.append([lost], day=self.clock.now().date())
            self.journal.recovered = 0
        for topic in ("starting", "lease", "transient"):
            self.health.ready(topic)
        self.log.info("runner_start", fence=self._fence, height=self.journal.height)
        return True

    def turn(self) -> bool:
        """One sweep: everything new on every stream, in the order Redis took it; True if there was anything."""
        self.health.beat()
        self._renew()
        found = sorted(self._sweep(), key=lambda each: (entry_order(each.entry_id), each.stream))
        if found:
            self._write(found)
        if self._checkpoint_due(found):
            self._checkpoint()
        return bool(found)

    # --- reading and writing ------------------------------------------------------------------------------

    def _sweep(self) -> list[Found]:
        found = []
        for stream in RECORDED:
            name = stream.key if isinstance(stream, Stream) else stream
            after = self.journal.position.streams.get(name, "0")
            found += [Found(name, entry_id, fields) for entry_id, fields in self.bus.stream_after(name, after, BATCH)]
        return found

    def _write(self, found: list[Found]) -> None:
        payloads = [each.payload() for each in found]
        streams: dict[str, str] = {}
        for each in found:
            last = streams.get(each.stream, "0")
            streams[each.stream] = max(last, each.entry_id, key=entry_order)
        payloads += self._gaps(payloads)
        writers = {writer: sequence.last for writer, sequence in self._sequences.items()}
        self.journal.append(payloads, day=self.clock.now().date(), streams=streams, writers=writers)
        self._appended_at = self.clock.now().timestamp()
        self.metrics.count("kobe_audit_records", len(payloads))
        block = BlockAppended(
            height=self.journal.height, head=self.journal.position.head or "", records=len(payloads)
        )
        self._say(block, {f"position:{name.removeprefix('kobe:')}": at for name, at in streams.items()})

    def _gaps(self, payloads: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A record for every number a writer left out, or used again."""
        noted: list[Gap] = []
        for payload in payloads:
            if "seq" in payload and "writer" in payload:
                sequence = self._sequences.setdefault(payload["writer"], Sequence(0))
                noted += sequence.take(payload["writer"], payload["seq"])
        for writer, sequence in self._sequences.items():
            noted += sequence.overdue(writer)
        for gap in noted:
            self.metrics.count("kobe_audit_writer_gaps", writer=gap.writer)
            self.log.error("writer_gap", writer=gap.writer, first=gap.first, last=gap.last, kind=gap.kind)
        return [{"type": "WriterGap", "at": self._now(), **gap.facts()} for gap in noted]

    def _checkpoint_due(self, found: list[Found]) -> bool:
        grown = self.journal.height - self._marked_size
        if grown == 0:
            return False
        if grown >= self.checkpoint_records or self.clock.monotonic() - self._marked_at >= self.checkpoint_seconds:
            return True
        return any(each.stream == KILL_LOG or each.fields.get("type") in CHECKPOINT_AFTER for each in found)

    def _checkpoint(self) -> None:
        size, root = self.journal.height, self.journal.tree.root()
        note = write_note(self.signer, chain_id=self.chain_id, size=size, root=root)
        append_note(self.journal.folder, note)
        self._marked_at, self._marked_size = self.clock.monotonic(), size
        head = self.journal.position.head or ""
        self._say(CheckpointSigned(size=size, root=root.hex(), head=head, note=note), {})

    # --- speaking -----------------------------------------------------------------------------------------

    def _say(self, message: Message, positions: Mapping[str, str]) -> None:
        cause = Cause("", self.clock.now(), self.clock.now().date(), "")
        stream, envelope = self.seal(message, cause, seq=self._seq + 1, fence=self._fence)
        changed = {name: canonical(at).decode() for name, at in positions.items()}
        changed |= {"seq": str(self._seq + 1), "height": str(self.journal.height)}
        try:
            self.bus.commit(Step(self._version, changed=changed, outputs=[(stream, to_fields(envelope))]))
        except Conflict as error:
            raise TransientError(f"the auditor's state moved under it: {error}") from error
        self._version += 1
        self._seq += 1

    def _adopt(self, record: StateRecord) -> None:
        self._version, self._fence = record.version, record.fence
        self._seq = int(record.fields.get("seq", 0))
        self._renewed = self.clock.monotonic()

    def _renew(self) -> None:
        if self.clock.monotonic() - self._renewed >= RENEW_SECONDS:
            self.bus.renew()
            self._renewed = self.clock.monotonic()

    def _genesis(self) -> dict[str, Any]:
        identity = self.seal.identity
        return {
            "type": "Genesis",
            "chain_id": self.chain_id,
            "mode": identity.mode.value,
            "account": identity.account,
            "config_pin": identity.config_pin,
            "auditor_key": {"key_id": self.signer.key_id, "public": self.signer.public.hex()},
            "at": self._now(),
        }

    def _now(self) -> str:
        return self.clock.now().isoformat()

    def gauges(self) -> list[Sample]:
        return [
            Sample("kobe_audit_chain_height", float(self.journal.height), help="Records on disk and synced"),
            Sample("kobe_audit_checkpoint_size", float(self._marked_size), help="Records under the last checkpoint"),
            Sample(
                "kobe_audit_last_append_timestamp_seconds", self._appended_at, help="When records were last added"
            ),
            Sample("kobe_ready", float(not self.health.reasons), help="1 when ready to serve"),
            Sample("kobe_lease_fence", float(self._fence), help="Grows with every holder of the lease"),
        ]
