"""Looks at what the witnesses have countersigned, and tells how old the newest quorum is.

Called by the recorder. It reads the witnesses' volumes and believes only signatures of pinned keys;
live stops trading when the quorum grows old, so this is the fact that the executor hears.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from services.auditor.chain.checkpoints import NoteFileError
from services.auditor.chain.signed_note import NoteKey
from services.auditor.chain.witness_files import (
    Cosignature,
    Quorum,
    latest_cosignatures,
    quorum_of,
    refusals,
)
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.observability.samples import MetricSample
from shared.schemas.messages import CheckpointCosigned

# A witness looks every ten seconds; its small file is read at a fifth of that.
LOOK_SECONDS = 2.0


@dataclass
class CosignatureWatch:
    """`folders` are the witnesses' volumes; none: this stack has no witness."""

    folders: Sequence[Path] = ()
    keys: Sequence[NoteKey] = ()
    needed: int = 1
    clock: Clock = field(default_factory=SystemClock)
    _looked: float = float("-inf")

    def __post_init__(self) -> None:
        self.latest: list[Cosignature] = []
        self._quorum: Quorum | None = None
        self._published: Quorum | None = None
        self._trouble: list[str] = []
        self._read()

    def look(self) -> CheckpointCosigned | None:
        """The quorum's word, if it has moved since it was last given."""
        if self.folders and self.clock.monotonic() - self._looked >= LOOK_SECONDS:
            self._read()
        quorum = self._quorum
        if quorum is None or quorum == self._published:
            return None
        self._published = quorum
        return CheckpointCosigned(
            size=quorum.size,
            at=_instant(quorum.at),
            witnesses=tuple(each.name for each in self.latest),
            notes=tuple(each.checkpoint.text for each in self.latest),
        )

    def _read(self) -> None:
        """What cannot be read is no cosignature; it is told, and grows old."""
        self._looked = self.clock.monotonic()
        try:
            self._trouble = refusals(self.folders)
            self.latest = latest_cosignatures(self.folders, self.keys)
        except (NoteFileError, OSError) as error:
            self._trouble = [*self._trouble, str(error)]
            self.latest = []
        for sentence in self._trouble:
            structlog.get_logger().error("witness_trouble", sentence=sentence)
        self._quorum = quorum_of(self.latest, self.needed) or self._quorum

    @property
    def size(self) -> int:
        """Records that a quorum has vouched for; 0: none."""
        return self._quorum.size if self._quorum else 0

    def facts(self) -> dict[str, object]:
        """For `kobe:state:auditor`: the size vouched for, and when it was."""
        quorum = self._quorum
        return {"cosigned": quorum.size, "cosigned_at": _instant(quorum.at)} if quorum else {}

    def gauges(self) -> list[MetricSample]:
        if not self.folders:
            return []
        at = float(self._quorum.at) if self._quorum else 0.0
        return [
            MetricSample(
                "kobe_audit_cosigned_timestamp_seconds",
                at,
                help="When a quorum of witnesses last vouched for the chain; 0: never",
            ),
            MetricSample(
                "kobe_audit_cosigned_size",
                float(self.size),
                help="Records that a quorum has vouched for",
            ),
            MetricSample(
                "kobe_audit_witness_trouble",
                float(len(self._trouble)),
                help="Witnesses that refuse, or whose files cannot be read",
            ),
        ]


def _instant(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
