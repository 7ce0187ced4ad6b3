"""What stands on disk when the auditor starts: everything synced is counted, a torn end is cut and kept aside.

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

from services.auditor.chain.chain_state import Standing
from services.auditor.chain.checkpoints import FILE, Note, read_notes
from services.auditor.chain.day_files import day_files
from services.auditor.chain.merkle import Frontier
from services.auditor.chain.record import BrokenLink, NotCanonical, open_line
from services.auditor.chain.sequence_gaps import Numbers
from shared.domain.errors import InvariantBroken

POSITION = "position.json"
REPAIR = "Restore the folder from a backup; `kobe audit verify` says what is wrong with it."
_LONGEST_LINE = 1 << 20
_PIECE = 1 << 16


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What is surely on disk: `offset` bytes of `file`. It may lag behind the files; they are the truth."""

    height: int = 0
    head: str | None = None
    file: str = ""
    offset: int = 0
    peaks: tuple[str, ...] = ()
    streams: dict[str, str] = {}
    writers: dict[str, list[int]] = {}

    def standing(self) -> Standing:
        tree = Frontier(self.height, [bytes.fromhex(peak) for peak in self.peaks])
        return Standing(tree, self.head, dict(self.streams), Numbers(self.writers))


@dataclass(frozen=True, slots=True)
class Cut:
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
class Recovered:
    standing: Standing
    file: str
    offset: int
    torn: bool = False
    cut: Cut | None = None


def read_genesis(folder: Path) -> Mapping[str, Any] | None:
    """The payload of the first record; None for an empty chain. Raises InvariantBroken if it is not one."""
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


def recover(folder: Path) -> Recovered:
    """Count what the files hold; cut a torn end. Raises InvariantBroken if anything covered is not there."""
    position = _read_position(folder)
    found = Recovered(position.standing(), position.file, position.offset)
    _refuse_shortened(folder, position)
    notes = _Notes(folder / FILE, found.standing)
    notes.check()
    for file in day_files(folder):
        if file.name >= position.file:
            _count(file, position.offset if file.name == position.file else 0, found, notes)
    notes.require_all()
    if found.torn:
        found.cut = _cut(folder / found.file, found.offset)
    return found


def _read_position(folder: Path) -> Position:
    """None is needed: without one, or with one that makes no sense, the files are counted from the beginning."""
    try:
        return msgspec.json.decode((folder / POSITION).read_bytes(), type=Position)
    except (FileNotFoundError, msgspec.MsgspecError):
        return Position()


def _refuse_shortened(folder: Path, position: Position) -> None:
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


def _count(file: Path, start: int, found: Recovered, notes: _Notes) -> None:
    if found.torn:
        raise InvariantBroken(f"{found.file} breaks off before {file.name} begins. {REPAIR}")
    found.file, found.offset = file.name, start
    with file.open("rb") as handle:
        handle.seek(start)
        for line in handle:
            try:
                payload, this_hash = open_line(
                    line[:-1] if line.endswith(b"\n") else b"", found.standing.head
                )
            except (NotCanonical, BrokenLink):
                found.torn = True
                return
            found.standing.take(payload, line[:-1], this_hash)
            found.offset += len(line)
            notes.check()


def _cut(file: Path, offset: int) -> Cut:
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
    return Cut(file.name, offset, size, digest.hexdigest(), aside.name)


class _Notes:
    """The folder's own checkpoints, held against the count as it grows."""

    def __init__(self, file: Path, standing: Standing) -> None:
        self._file, self._standing = file, standing
        self._left = read_notes(file)
        self._next = self._following()
        while self._next and self._next.size < standing.height:
            self._next = self._following()

    def _following(self) -> Note | None:
        try:
            return next(self._left, None)
        except ValueError as error:
            raise InvariantBroken(f"{self._file} cannot be read: {error}. {REPAIR}") from error

    def check(self) -> None:
        while self._next and self._next.size == self._standing.height:
            if self._next.root != self._standing.tree.root().hex():
                raise InvariantBroken(
                    f"the first {self._next.size} records are not those sealed. {REPAIR}"
                )
            self._next = self._following()

    def require_all(self) -> None:
        if self._next:
            lost = f"a checkpoint covers {self._next.size} records, but only {self._standing.height} are there"
            raise InvariantBroken(f"{lost}: the chain was cut. {REPAIR}")
