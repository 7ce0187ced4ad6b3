"""Verifies a chain once and remembers it: what has not changed since need not be counted again.

Called by `kobe audit explain`. Files that were verified and not written since are as good as
verified now; the rest is verified, and the witnesses' newest words are looked at each time.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.auditor.chain.checkpoints import FILE
from services.auditor.chain.day_files import require_chain
from services.auditor.chain.memory import ChainPosition
from services.auditor.chain.record import chain_id
from services.auditor.chain.recovery import read_genesis
from services.auditor.chain.trust import Trust
from services.auditor.chain.witness_files import latest_cosignatures, refusals, witness_folders
from services.auditor.evidence.chain_index import VERSION, ChainIndex, IndexStale
from services.auditor.evidence.findings import ChainFinding, Verdict
from services.auditor.evidence.snapshot import Resume
from services.auditor.evidence.verify import require_proof, verify_folder
from shared.domain.errors import InvariantBroken, UserError

_PIECE = 1 << 20


@dataclass
class IndexedChain:
    """A chain, what it is judged by, and its index."""

    folder: Path
    trust: Trust
    witnesses: Sequence[Path]
    index: ChainIndex

    @classmethod
    def open(
        cls, folder: Path, trust: Trust, witnesses: Sequence[Path], indexes: Path
    ) -> IndexedChain:
        """The index is named by the chain. Raises UserError if there is no chain, or no key."""
        require_chain(folder)
        if trust.auditor is None:
            raise UserError(
                "key NOT pinned: a chain that is its own witness tells nothing; give --keys.",
                exit_code=int(ChainFinding.KEY_NOT_PINNED),
            )
        try:
            name = chain_id(read_genesis(folder) or {})
        except InvariantBroken:
            # Verifying it says what is wrong.
            name = "unreadable"
        return cls(folder, trust, witnesses, ChainIndex(indexes / f"{name}.sqlite"))

    @property
    def sealed(self) -> int:
        """So many records stand under a checkpoint; `update` first."""
        return int(self.index.facts()["sealed"])

    def records(self, names: Iterable[str]) -> list[tuple[int, bytes]]:
        """(index, line) of what speaks of any of the names; `update` first.

        A record that is not what was verified has the whole chain verified again, which tells.
        """
        wanted = list(names)
        try:
            return self.index.records(self.folder, wanted)
        except IndexStale:
            self.update(anew=True)
            return self.index.records(self.folder, wanted)

    def update(self, *, anew: bool = False) -> None:
        """Verify and index what is new, or all of it where the files are not those seen before.

        Raises UserError with the finding's exit code if the chain proves nothing.
        """
        resume = None if anew else self._resume()
        if resume is None or self._has_grown(resume):
            self._verify(resume)

    def _verify(self, resume: Resume | None) -> None:
        start = resume.position if resume else None
        writer = self.index.writer(start)
        try:
            verdict = verify_folder(
                self.folder,
                trust=self.trust,
                witnesses=self.witnesses if resume is None else (),
                resume=resume,
                visit=writer.see,
            )
            require_proof(verdict)
        except UserError:
            self.index.undo()
            raise
        end = writer.end(start or ChainPosition())
        writer.finish(self._facts(verdict, end))

    # --- what is remembered -----------------------------------------------------------------------

    def _facts(self, verdict: Verdict, end: ChainPosition) -> dict[str, str]:
        notes = (self.folder / FILE).read_bytes()
        return {
            "version": VERSION,
            "key": (self.trust.auditor or b"").hex(),
            "sealed": str(verdict.sealed),
            "notes_size": str(len(notes)),
            "notes_sha256": hashlib.sha256(notes).hexdigest(),
            "end": msgspec.json.encode(end).decode(),
            "end_sha256": _digest(self.folder / end.file, end.offset),
        }

    def _resume(self) -> Resume | None:
        """The end of what was indexed; None: the chain is to be verified from its beginning."""
        try:
            facts = self.index.facts()
            size = int(facts["notes_size"])
            if facts["key"] != (self.trust.auditor or b"").hex():
                return None
            if _digest(self.folder / FILE, size) != facts["notes_sha256"]:
                return None
            end = msgspec.json.decode(facts["end"], type=ChainPosition)
            if not self._is_unchanged(end, facts["end_sha256"]) or not self._witnesses_agree():
                return None
            return Resume(end, int(facts["sealed"]), size)
        except (IndexStale, sqlite3.Error, OSError, ValueError, msgspec.MsgspecError):
            return None

    def _is_unchanged(self, end: ChainPosition, digest: str) -> bool:
        """Whether all that was indexed is as it was; of the last file the part that was there."""
        changed = self.index.first_change(self.folder)
        if changed is None or changed > end.file:
            return True
        file = self.folder / end.file
        return changed == end.file and _digest(file, end.offset) == digest

    def _witnesses_agree(self) -> bool:
        """Whether every witness's newest word is about a checkpoint that is here."""
        if not self.witnesses:
            return True
        newest = latest_cosignatures(self.witnesses, self.trust.witnesses)
        notes = (self.folder / FILE).read_text()
        return (
            len(newest) >= len(witness_folders(self.witnesses))
            and not refusals(self.witnesses)
            and all(each.checkpoint.note.body in notes for each in newest)
        )

    def _has_grown(self, resume: Resume) -> bool:
        end = resume.position
        files = require_chain(self.folder)
        notes = (self.folder / FILE).stat().st_size
        return (
            files[-1].name != end.file
            or files[-1].stat().st_size != end.offset
            or notes != resume.notes_size
        )


def _digest(file: Path, size: int) -> str:
    """Of the first `size` bytes; raises OSError if there are fewer."""
    digest, left = hashlib.sha256(), size
    with file.open("rb") as handle:
        while left and (piece := handle.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    if left:
        raise OSError(f"{file} is shorter than it was")
    return digest.hexdigest()
