"""Holds a chain against checkpoints as its records go by: its own, anchors, witnesses'.

Called by verify. Coverage is demanded as the genesis promised it: a checkpoint that is not there is
missed, not overlooked.
"""

import datetime as dt
import heapq
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from services.auditor.chain import signed_note
from services.auditor.chain.chain_state import SEALED, ChainState
from services.auditor.chain.checkpoints import Checkpoint, NoteFileError, TornNote, read_notes
from services.auditor.chain.signed_note import Algorithm, NoteKey, VerifiedSignature
from services.auditor.chain.trust import Trust, auditor_keys, origin_of
from services.auditor.evidence.findings import ChainFault, ChainFinding
from services.auditor.evidence.snapshot import Snapshot
from shared.schemas.json_types import JsonMapping

# A witness looks every 10 s; after a minute it is late, not slow.
WITNESS_SECONDS = 60
# An anchor file that people copied together from several; some ten thousand checkpoints.
_SORTED_BYTES = 16 << 20
# Claims of the chain that a witness's note is there are checked against its last notes.
_REMEMBERED_NOTES = 4096


class Source(Enum):
    """Whose file a checkpoint comes from."""

    OWN = "own"
    FRESH = "fresh"
    ANCHOR = "anchor"
    WITNESS = "witness"
    LATEST = "latest"


_WITNESSES = (Source.WITNESS, Source.LATEST)


@dataclass
class CheckpointChecks:
    """`begin` with the genesis, `name` what may name a checkpoint.

    `check` at `next_size` records.
    """

    snapshot: Snapshot
    state: ChainState
    trust: Trust
    sealed: int = 0
    sealed_at: int = 0
    checked: int = 0
    cosigned: int = 0
    cosigned_at: int = 0
    torn: bool = False
    uncovered: tuple[int, int] | None = None
    lost: int = 0
    unwitnessed: str = ""
    _late: tuple[int, int] | None = None
    _witnessed: deque[int] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_NOTES))

    def __post_init__(self) -> None:
        self._next: tuple[Source, Checkpoint] | None = None
        self._keys: tuple[NoteKey, ...] = ()
        self._records = 0
        self._origin = ""
        self.next_size = self._awaited = 0

    # --- the beginning ----------------------------------------------------------------------------

    def begin(self, chain_id: str, public: bytes, cadence: Mapping[str, int]) -> None:
        self._origin = origin_of(chain_id)
        self._keys = auditor_keys(public, chain_id)
        self._records = cadence["records"]
        snapshot = self.snapshot
        streams = [_each(Source.OWN, self._own())]
        streams += [_each(Source.ANCHOR, self._anchor_notes(file)) for file in snapshot.anchors]
        streams += [_each(Source.WITNESS, notes) for notes in snapshot.notes_of_witnesses()]
        single = [(Source.LATEST, note) for note in snapshot.latest]
        single += [(Source.FRESH, snapshot.fresh)] if snapshot.fresh else []
        single.sort(key=_size)
        self._notes = heapq.merge(*streams, single, key=_size)
        self._advance()

    def _own(self) -> Iterator[Checkpoint]:
        """A torn last note is a power loss's, not a forger's.

        What it would cover is missed anyway.
        """
        try:
            yield from self.snapshot.own_notes()
        except TornNote:
            self.torn = True

    def _anchor_notes(self, file: Path) -> Iterator[Checkpoint]:
        """In the order of their sizes; only a file too large to sort must be in order itself."""
        notes = read_notes(file)
        if file.stat().st_size <= _SORTED_BYTES:
            notes = iter(sorted(notes, key=lambda note: note.size))
        first = next(notes, None)
        if first is None:
            raise NoteFileError(f"the anchor {file} holds no checkpoint: it proves nothing")
        yield first
        yield from notes

    def _advance(self) -> None:
        try:
            self._next = next(self._notes, None)
        except ValueError as error:
            raise ChainFault(ChainFinding.BAD_SIGNATURE, str(error)) from error
        self.next_size = self._next[1].size if self._next else sys.maxsize

    # --- as the records go by ---------------------------------------------------------------------

    def check(self) -> None:
        while self._next and self._next[1].size <= self.state.tree.size:
            self._check(*self._next)
            self.checked += 1
            self._advance()

    def _check(self, source: Source, note: Checkpoint) -> None:
        held = self._require_signed(source, note)
        if note.size < self.state.height or (source is Source.OWN and note.size == self.sealed):
            sentence = f"the checkpoint over {note.size} records is out of order"
            raise ChainFault(ChainFinding.REWRITTEN, sentence, note.size - 1)
        if note.root != self.state.tree.root():
            sentence = (
                f"the first {note.size} records are not those that were signed: "
                "the chain was rewritten"
            )
            raise ChainFault(ChainFinding.REWRITTEN, sentence, note.size - 1)
        self._count(source, note, held)

    def _count(self, source: Source, note: Checkpoint, held: list[VerifiedSignature]) -> None:
        own = [each.at for each in held if each.at is not None and each.key in self._keys]
        witnessed = [each.at for each in held if each.at is not None and each.key not in self._keys]
        if source is Source.OWN:
            self._require_witnessed()
            self._seal(note, max(own))
        elif note.size != self.sealed:
            self.lost = self.lost or note.size
        if source is Source.FRESH:
            self.sealed_at = max(self.sealed_at, *own)
        if source is Source.WITNESS:
            self._awaited = 0
        if witnessed:
            self.cosigned = max(self.cosigned, note.size)
            self.cosigned_at = max(self.cosigned_at, *witnessed)
            self._witnessed.append(note.size)

    def _seal(self, note: Checkpoint, at: int) -> None:
        if note.size - self.sealed > self._records and not self.uncovered:
            self.uncovered = (self.sealed, note.size)
        self.sealed, self.sealed_at = note.size, max(self.sealed_at, at)
        witnessed_to = max((each.size for each in self.snapshot.latest), default=0)
        if note.size <= witnessed_to:
            self._awaited = note.size
        elif self._late is None:
            self._late = (note.size, at)

    def _require_witnessed(self) -> None:
        """A witness signs every checkpoint up to its newest: one left out was taken away."""
        if self._awaited and not self.unwitnessed:
            self.unwitnessed = f"the witness's note over {self._awaited} records is gone"

    def _require_signed(self, source: Source, note: Checkpoint) -> list[VerifiedSignature]:
        """The auditor's two signatures and its witness's own, each once and all of pinned keys.

        Of an anchor one is enough, and it may bear those of strangers: it was kept among them.
        """
        try:
            held = signed_note.verify(note.note, (*self._keys, *self.trust.witnesses))
        except ValueError as error:
            raise _bad_signature(note, str(error)) from error
        if note.origin != self._origin:
            sentence = f"the checkpoint over {note.size} records is of another chain"
            raise ChainFault(ChainFinding.REWRITTEN, sentence, note.size - 1)
        own = {each.key.algorithm for each in held if each.key in self._keys}
        is_kept_elsewhere = source is Source.ANCHOR
        if not is_kept_elsewhere and own != set(Algorithm):
            raise _bad_signature(note, "the auditor's key has not signed it")
        if source in _WITNESSES and not any(each.key not in self._keys for each in held):
            raise _bad_signature(note, "no pinned key of a witness has signed it")
        if not is_kept_elsewhere and len({each.key for each in held}) < len(note.note.signatures):
            raise _bad_signature(note, "it bears a signature twice, or one of no pinned key")
        if not held:
            raise _bad_signature(note, "neither the auditor's key nor a witness's has signed it")
        return held

    def name(self, payload: JsonMapping, index: int) -> None:
        """Call before a record is counted: after a checkpoint it must name it, and only then."""
        is_naming = payload.get("type") == SEALED
        follows = index > 0 and self.sealed == index
        if not is_naming and not follows:
            return
        root = self.state.tree.root().hex()
        if is_naming and (payload.get("size"), payload.get("root")) != (index, root):
            sentence = f"record {index} names a checkpoint that is not the chain's"
            raise ChainFault(ChainFinding.REWRITTEN, sentence, index)
        if not is_naming:
            sentence = f"the chain goes on after {index} records without naming their checkpoint"
            raise ChainFault(ChainFinding.REWRITTEN, sentence, index)
        if not follows and not self.uncovered:
            self.uncovered = (self.sealed, index)
        claimed = payload.get("cosigned", 0)
        if self.snapshot.witness_folders and claimed and claimed not in self._witnessed:
            self.unwitnessed = self.unwitnessed or (
                f"the witness's note over {claimed} records is gone, which the chain says it signed"
            )

    # --- the end ----------------------------------------------------------------------------------

    def end(self) -> None:
        """Raises ChainFault if a checkpoint covers more than is there."""
        height = self.state.height
        self._require_witnessed()
        if self._next:
            self._require_signed(*self._next)
            size = self._next[1].size
            sentence = f"a checkpoint covers {size} records, but only {height} are here"
            raise ChainFault(ChainFinding.TRUNCATED, f"{sentence}: the end is missing", height)
        if height - self.sealed > self._records and not self.uncovered:
            self.uncovered = (self.sealed, height)

    def unsealed_sentence(self) -> str:
        """Empty when checkpoints cover the records as the genesis promised."""
        if self.sealed == 0:
            return "no checkpoint is here: nothing vouches for these records"
        if self.lost:
            return (
                f"the checkpoint over {self.lost} records is gone from the chain's folder, "
                "though others hold it"
            )
        if self.uncovered is None:
            return ""
        first, last = self.uncovered
        return (
            f"a checkpoint is missing: between {first} and {last} records there is none, "
            f"and the genesis promises one every {self._records}"
        )

    def unwitnessed_sentence(self, as_of: dt.datetime | None) -> str:
        """Empty when the witnesses vouch for all that they have had time to look at.

        `as_of` None: up to the newest checkpoint, for a chain that was stopped and its witness too.
        """
        folders = self.snapshot.witness_folders
        if not folders or self.unwitnessed:
            return self.unwitnessed
        if self.cosigned == 0 or not self.snapshot.latest:
            return f"no witness vouches for this chain: there is no checkpoint in {folders[0]}"
        now = as_of.timestamp() if as_of else self.sealed_at
        if self._late and now - self._late[1] > WITNESS_SECONDS:
            return (
                f"the witness vouches for {self.cosigned} records; a checkpoint over "
                f"{self._late[0]} has waited {now - self._late[1]:.0f} s for it"
            )
        return ""


def _each(source: Source, notes: Iterable[Checkpoint]) -> Iterator[tuple[Source, Checkpoint]]:
    for note in notes:
        yield source, note


def _size(item: tuple[Source, Checkpoint]) -> int:
    return item[1].size


def _bad_signature(note: Checkpoint, why: str) -> ChainFault:
    sentence = f"the checkpoint over {note.size} records is not to be believed: {why}"
    return ChainFault(ChainFinding.BAD_SIGNATURE, sentence, note.size - 1)
