"""Counts what is on disk when the auditor starts; a torn end is cut and kept aside.

Called by the journal, before the first write. A chain that lacks what its own position or a
checkpoint covers was tampered with: it refuses, changes nothing, and says so.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from services.auditor.chain.chain_state import ChainState
from services.auditor.chain.checkpoints import FILE, Note, read_notes
from services.auditor.chain.day_files import day_files
from services.auditor.chain.merkle import Frontier
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.chain.sequence_gaps import WriterSequences
from shared.domain.errors import InvariantBroken

POSITION = "position.json"
REPAIR = "Restore the folder from a backup; `kobe audit verify` says what is wrong with it."
# An envelope is at most 256 KiB; escaped once more it stays below this.
_LONGEST_LINE = 1 << 20
_PIECE = 1 << 16


class ChainPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What is surely on disk: `offset` bytes of `file`. May lag; the files are the truth."""

    height: int = 0
    head: str | None = None
    file: str = ""
    offset: int = 0
    peaks: tuple[str, ...] = ()
    streams: dict[str, str] = {}
    writers: dict[str, list[int]] = {}

    def chain_state(self) -> ChainState:
        tree = Frontier(self.height, [bytes.fromhex(peak) for peak in self.peaks])
        return ChainState(tree, self.head, dict(self.streams), WriterSequences(self.writers))


@dataclass(frozen=True, slots=True)
class TornTail:
    """A torn end: where it was, what it was, and where it is kept."""

    file: str
    offset: int
    size: int
    sha256: str
    kept_as: str

    def payload(self, at: str) -> dict[str, Any]:
        facts = {
            "file": self.file,
            "offset": self.offset,
            "torn_bytes": self.size,
            "sha256": self.sha256,
        }
        return {"type": "Recovered", "at": at, "kept_as": self.kept_as, **facts}


@dataclass(slots=True)
class Recovery:
    state: ChainState
    file: str
    offset: int
    torn: bool = False
    torn_tail: TornTail | None = None


def read_genesis(folder: Path) -> Mapping[str, Any] | None:
    """The payload of the first record; None for an empty chain.

    Raises InvariantBroken if it is not a genesis.
    """
    for file in day_files(folder)[:1]:
        with file.open("rb") as handle:
            line = handle.readline(_LONGEST_LINE)
        if line.endswith(b"\n"):
            try:
                return open_line(line[:-1], None)[0]
            except (NotCanonical, BrokenLink) as error:
                raise InvariantBroken(
                    f"{file} does not begin with a genesis record: {error}. {REPAIR}"
                ) from error
    return None


def recover(folder: Path) -> Recovery:
    """Count what the files hold; cut a torn end.

    Raises InvariantBroken if anything that a checkpoint or the position covers is not there.
    """
    position = _read_position(folder)
    found = Recovery(position.chain_state(), position.file, position.offset)
    _refuse_cut_file(folder, position)
    notes = _Notes(folder / FILE, found.state)
    notes.check()
    for file in day_files(folder):
        if file.name >= position.file:
            _count(file, position.offset if file.name == position.file else 0, found, notes)
    notes.require_all()
    if found.torn:
        found.torn_tail = _set_tail_aside(folder / found.file, found.offset)
    return found


def _read_position(folder: Path) -> ChainPosition:
    """The saved position; without a readable one the files are counted from the beginning."""
    try:
        return msgspec.json.decode((folder / POSITION).read_bytes(), type=ChainPosition)
    except (FileNotFoundError, msgspec.MsgspecError):
        return ChainPosition()


def _refuse_cut_file(folder: Path, position: ChainPosition) -> None:
    """The file is as long as it was, and its last counted record is the one that was counted."""
    if not position.file:
        return
    file = folder / position.file
    size = file.stat().st_size if file.exists() else 0
    if size < position.offset:
        lost = f"has {size} bytes where {position.offset} were written: the chain was cut"
        raise InvariantBroken(f"{file} {lost}. {REPAIR}")
    if (
        position.height
        and _line_before(file, position.offset)[-66:-2].decode("ascii", "replace") != position.head
    ):
        raise InvariantBroken(
            f"the last record of {file} is not the one that was written. {REPAIR}"
        )


def _line_before(file: Path, offset: int) -> bytes:
    with file.open("rb") as handle:
        handle.seek(max(0, offset - _LONGEST_LINE))
        return handle.read(offset - handle.tell()).rstrip(b"\n").rpartition(b"\n")[2]


def _count(file: Path, start: int, found: Recovery, notes: _Notes) -> None:
    if found.torn:
        raise InvariantBroken(f"{found.file} breaks off before {file.name} begins. {REPAIR}")
    found.file, found.offset = file.name, start
    with file.open("rb") as handle:
        handle.seek(start)
        for line in handle:
            try:
                payload, this_hash = open_line(
                    line[:-1] if line.endswith(b"\n") else b"", found.state.head
                )
            except (NotCanonical, BrokenLink):
                found.torn = True
                return
            found.state.add(payload, line[:-1], this_hash)
            found.offset += len(line)
            notes.check()


def _set_tail_aside(file: Path, offset: int) -> TornTail:
    aside = file.with_name(f"{file.stem}.torn-{offset}")
    digest = hashlib.sha256()
    with file.open("r+b") as handle, aside.open("wb") as kept:
        handle.seek(offset)
        while piece := handle.read(_PIECE):
            kept.write(piece)
            digest.update(piece)
        kept.flush()
        os.fsync(kept.fileno())
        size = kept.tell()
        handle.truncate(offset)
        os.fsync(handle.fileno())
    return TornTail(file.name, offset, size, digest.hexdigest(), aside.name)


class _Notes:
    """The folder's own checkpoints, held against the count as it grows."""

    def __init__(self, file: Path, state: ChainState) -> None:
        self._file, self._state = file, state
        self._left = read_notes(file)
        self._next = self._following()
        while self._next and self._next.size < state.height:
            self._next = self._following()

    def _following(self) -> Note | None:
        try:
            return next(self._left, None)
        except ValueError as error:
            raise InvariantBroken(f"{self._file} cannot be read: {error}. {REPAIR}") from error

    def check(self) -> None:
        while self._next and self._next.size == self._state.height:
            if self._next.root != self._state.tree.root().hex():
                raise InvariantBroken(
                    f"the first {self._next.size} records are not those sealed. {REPAIR}"
                )
            self._next = self._following()

    def require_all(self) -> None:
        if self._next:
            lost = (
                f"a checkpoint covers {self._next.size} records, "
                f"but only {self._state.height} are there"
            )
            raise InvariantBroken(f"{lost}: the chain was cut. {REPAIR}")
