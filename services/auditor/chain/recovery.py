"""Counts what is on disk when the auditor starts, and holds it against what is remembered.

Called by the journal, before the first write; changes nothing. A chain that lacks what a memory or
a checkpoint covers was tampered with: the auditor refuses to go on with it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from services.auditor.chain import signed_note
from services.auditor.chain.chain_state import GENESIS, ChainState
from services.auditor.chain.checkpoints import FILE, Checkpoint, NoteFileError, TornNote, read_notes
from services.auditor.chain.day_files import day_files
from services.auditor.chain.memory import REPAIR, ChainMemory, ChainPosition, Remembered
from services.auditor.chain.record import (
    BrokenLink,
    NotCanonical,
    chain_id,
    hash_of_line,
    open_line,
)
from services.auditor.chain.trust import auditor_keys
from shared.domain.errors import InvariantBroken, UserError
from shared.schemas.json_types import JsonMapping

# An envelope is at most 256 KiB; escaped once more it stays below this.
_LONGEST_LINE = 1 << 20
# Counted whole at each start in about two seconds; beyond it, from the remembered position on.
FULL_COUNT_BYTES = 256 << 20
# Every older checkpoint stands under these: their roots are counted, their signatures not checked.
_SIGNATURES_CHECKED = 256


@dataclass(slots=True)
class Recovery:
    """The chain as counted: it ends at `offset` of `file`; what is torn lies behind that."""

    state: ChainState
    file: str
    offset: int
    genesis: JsonMapping | None = None
    torn: bool = False
    sealed: Checkpoint | None = None
    torn_note: bool = False


def read_genesis(folder: Path) -> JsonMapping | None:
    """The payload of the first record; None for an empty chain.

    Raises InvariantBroken if it is not a genesis.
    """
    for file in day_files(folder)[:1]:
        with file.open("rb") as handle:
            line = handle.readline(_LONGEST_LINE)
        if line.endswith(b"\n"):
            try:
                payload, _ = open_line(line[:-1], None)
                if payload.get("type") == GENESIS:
                    return payload
                problem = "its type is another"
            except (NotCanonical, BrokenLink) as error:
                problem = str(error)
            raise InvariantBroken(f"{file} does not begin with a genesis: {problem}. {REPAIR}")
    return None


def recover(
    folder: Path,
    memory: ChainMemory | None,
    *,
    public_key: bytes,
    remembered: Sequence[Remembered] = (),
) -> Recovery:
    """Count what the files hold.

    Raises InvariantBroken if anything that a checkpoint covers, or anybody remembers, is not there.
    """
    files = day_files(folder)
    own = [memory.remembered()] if memory and memory.position.height else []
    whole = memory is None or sum(file.stat().st_size for file in files) <= FULL_COUNT_BYTES
    position = ChainPosition() if whole or memory is None else memory.position
    found = Recovery(position.chain_state(), position.file, position.offset, read_genesis(folder))
    _require_own_key(folder, found.genesis, public_key)
    checks = _Checks(folder / FILE, found, [*own, *remembered])
    _require_counted_part(folder, position)
    checks.run()
    for file in files:
        if file.name >= position.file:
            _count(file, position.offset if file.name == position.file else 0, found, checks)
    checks.finish(public_key)
    return found


def _require_own_key(folder: Path, genesis: JsonMapping | None, public_key: bytes) -> None:
    begun_with = (genesis or {}).get("auditor_key", {}).get("public", "")
    if genesis is not None and begun_with != public_key.hex():
        raise UserError(
            f"The chain in {folder} was begun with another auditor_key than this auditor's; give "
            "it a folder of its own, or the key the chain was begun with.",
            exit_code=2,
        )


def _require_counted_part(folder: Path, position: ChainPosition) -> None:
    """The file is as long as it was, and its last counted record is the one that was counted."""
    if not position.file:
        return
    file = folder / position.file
    size = file.stat().st_size if file.exists() else 0
    if size < position.offset:
        lost = f"has {size} bytes where {position.offset} were written: the chain was cut"
        raise InvariantBroken(f"{file} {lost}. {REPAIR}")
    if hash_of_line(_line_before(file, position.offset)) != position.head:
        raise InvariantBroken(
            f"the last record of {file} is not the one that was written. {REPAIR}"
        )


def _line_before(file: Path, offset: int) -> bytes:
    with file.open("rb") as handle:
        handle.seek(max(0, offset - _LONGEST_LINE))
        return handle.read(offset - handle.tell()).rstrip(b"\n").rpartition(b"\n")[2]


def _count(file: Path, start: int, found: Recovery, checks: _Checks) -> None:
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
            checks.run()


@dataclass
class _Checks:
    """The folder's own checkpoints and what is remembered, held against the count as it grows."""

    file: Path
    found: Recovery
    remembered: list[Remembered]
    _recent: deque[Checkpoint] = field(default_factory=lambda: deque(maxlen=_SIGNATURES_CHECKED))

    def __post_init__(self) -> None:
        self.remembered.sort(key=lambda each: each.height, reverse=True)
        self._notes = read_notes(self.file)
        self._next = self._next_note()
        while self._next and self._next.size < self.found.state.height:
            self._require_noted(self._next)
            self._next = self._next_note()

    def _next_note(self) -> Checkpoint | None:
        try:
            note = next(self._notes, None)
        except TornNote:
            self.found.torn_note = True
            return None
        except NoteFileError as error:
            raise InvariantBroken(f"{error}. {REPAIR}") from error
        if note:
            if self.found.sealed and note.size <= self.found.sealed.size:
                raise InvariantBroken(f"{self.file} has checkpoints out of order. {REPAIR}")
            self._recent.append(note)
            self.found.sealed = note
        return note

    def _require_noted(self, note: Checkpoint) -> None:
        """What lies before the position is not counted again: the checkpoints stand for it."""
        while self.remembered and self.remembered[-1].height < note.size:
            self._refuse(self.remembered[-1], "no checkpoint says what it was")
        while self.remembered and self.remembered[-1].height == note.size:
            known = self.remembered.pop()
            if known.root not in (None, note.root):
                self._refuse(known, "the checkpoint has another root")

    def _refuse(self, known: Remembered, why: str) -> None:
        sentence = f"{known.by} remembers {known.height} records, but {why}"
        raise InvariantBroken(f"{sentence}: the chain was rewritten. {REPAIR}")

    def run(self) -> None:
        """Check whatever is about the chain as it has been counted so far."""
        state = self.found.state
        while self._next and self._next.size == state.height:
            if self._next.root != state.tree.root():
                raise InvariantBroken(
                    f"the first {self._next.size} records are not those sealed. {REPAIR}"
                )
            self._next = self._next_note()
        while self.remembered and self.remembered[-1].height == state.height:
            self.remembered.pop().require(state)

    def finish(self, public_key: bytes) -> None:
        height = self.found.state.height
        covered = [("a checkpoint covers", self._next.size)] if self._next else []
        covered += [(f"{each.by} remembers", each.height) for each in self.remembered]
        for who, size in covered:
            lost = f"{who} {size} records, but only {height} are there"
            raise InvariantBroken(f"{lost}: the chain was cut. {REPAIR}")
        self._require_signatures(public_key)

    def _require_signatures(self, public_key: bytes) -> None:
        keys = auditor_keys(public_key, chain_id(self.found.genesis or {}))
        for note in self._recent:
            try:
                held = len(signed_note.verify(note.note, keys))
            except ValueError:
                held = 0
            if held < len(keys):
                raise InvariantBroken(
                    f"the checkpoint over {note.size} records is not signed by this auditor. "
                    f"{REPAIR}"
                )
