"""Puts records into the chain and seals them, never more than the cadence apart.

Each checkpoint but the newest is named by the record that follows it, so that a checkpoint taken
away is missed. Called by the recorder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.auditor.chain.chain_state import SEALED
from services.auditor.chain.checkpoints import Checkpoint
from services.auditor.chain.journal import ChainJournal
from services.auditor.chain.sequence_gaps import Gap
from shared.runtime.clock import Clock
from shared.runtime.observability.log import Log
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, label_sets
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.schemas.streams import ServiceName

COUNTERS = (
    CounterSpec("kobe_audit_records", "Records written to the chain"),
    CounterSpec(
        "kobe_audit_writer_gaps", "Numbers a writer left out", label_sets(writer=ServiceName)
    ),
)


@dataclass(frozen=True, slots=True)
class Cadence:
    """A checkpoint after so many records (at least 2) or seconds, whichever comes first."""

    records: int = 256
    seconds: int = 60

    def payload(self) -> dict[str, int]:
        return {"records": self.records, "seconds": self.seconds}

    def within(self, other: Mapping[str, int]) -> Cadence:
        """At least as often as the genesis promised, whatever the settings say today."""
        return Cadence(min(self.records, other["records"]), min(self.seconds, other["seconds"]))


@dataclass
class ChainWriter:
    """`cosigned` is the largest size a quorum of witnesses has vouched for."""

    journal: ChainJournal
    cadence: Cadence
    clock: Clock
    metrics: MetricRegistry
    log: Log
    cosigned: int = 0
    appended_at: float = 0.0
    _sealed_at: float = 0.0
    _refreshed_at: float = 0.0
    _new: list[Checkpoint] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sealed_at = self._refreshed_at = self.clock.monotonic()

    # --- records ----------------------------------------------------------------------------------

    def write(self, payloads: Sequence[JsonMapping]) -> int:
        """All on disk, synced and sealed as the cadence demands; the number of records."""
        before = self.journal.height
        rest = list(payloads)
        while rest:
            if self.journal.unsealed >= self.cadence.records:
                self.seal()
            naming = self._naming_record()
            room = self.cadence.records - self.journal.unsealed - len(naming)
            batch, rest = rest[:room], rest[room:]
            self._note(self.journal.append([*naming, *batch], day=self.clock.now().date()))
        if self.journal.height > before:
            self.appended_at = self.clock.now().timestamp()
            self.metrics.count("kobe_audit_records", self.journal.height - before)
        return self.journal.height - before

    def write_overdue_gaps(self) -> int:
        """A record for every number that a writer left out; call after a complete sweep."""
        return self._note(self.journal.state.numbers.overdue_gaps())

    def _naming_record(self) -> list[JsonObject]:
        """The first record after a checkpoint says that it was signed, and what was witnessed."""
        journal = self.journal
        if journal.height == 0 or journal.unsealed:
            return []
        seen = {"cosigned": self.cosigned} if self.cosigned else {}
        root = journal.state.tree.root().hex()
        return [{"type": SEALED, "at": self.now(), "size": journal.height, "root": root, **seen}]

    def _note(self, gaps: Sequence[Gap]) -> int:
        for gap in gaps:
            self.metrics.count("kobe_audit_writer_gaps", writer=gap.writer)
            self.log.error(
                "writer_gap", writer=gap.writer, first=gap.first, last=gap.last, kind=gap.kind
            )
        return self.write([gap.payload(self.now()) for gap in gaps])

    # --- checkpoints ------------------------------------------------------------------------------

    def seal(self) -> None:
        """Sign all there is, if anything is new."""
        if self.journal.unsealed == 0:
            return
        self._new.append(self.journal.seal(at=self.clock.now(), cosigned=self.cosigned))
        self._sealed_at = self._refreshed_at = self.clock.monotonic()

    def seal_if_due(self) -> None:
        """Sign what is older than the cadence allows; where nothing is new, sign the time again."""
        if self.journal.unsealed:
            if self.clock.monotonic() - self._sealed_at >= self.cadence.seconds:
                self.seal()
        elif self.clock.monotonic() - self._refreshed_at >= self.cadence.seconds:
            self._refresh()

    def sign_now(self) -> None:
        """Seal what is new, or sign the time anew: after a long rest the chain is seen to live."""
        if self.journal.unsealed:
            self.seal()
        else:
            self._refresh()

    def _refresh(self) -> None:
        self.journal.refresh(at=self.clock.now())
        self._refreshed_at = self.clock.monotonic()

    def take_checkpoints(self) -> list[Checkpoint]:
        """Those signed since the last call, oldest first."""
        signed, self._new = self._new, []
        return signed

    def now(self) -> str:
        return self.clock.now().isoformat()
