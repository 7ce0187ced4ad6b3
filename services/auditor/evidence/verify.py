"""Checks a chain from its files alone: links, form, numbers, signed checkpoints.

Called by `kobe audit verify` and the demo. Streams through any length in the memory of one record;
changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec

from services.auditor.chain.chain_state import GENESIS, ChainState
from services.auditor.chain.checkpoints import FILE, Note, is_signed, read_notes
from services.auditor.chain.day_files import require_chain
from services.auditor.chain.record import (
    BrokenLink,
    NotCanonical,
    chain_id,
    first_broken_legacy,
    open_line,
)
from services.auditor.chain.sequence_gaps import GAP, Gap, read_gap
from shared.domain.errors import UserError
from shared.runtime.signing import key_id_of


class ChainFinding(IntEnum):
    """The exit codes of `kobe audit verify`."""

    OK = 0
    BROKEN_LINK = 3
    TRUNCATED = 4
    REWRITTEN = 5
    BAD_SIGNATURE = 6
    NOT_CANONICAL = 7
    WRITER_GAP = 8
    TORN_TAIL = 9


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`index` is the record (from 0) at which the finding lies, where it has one.

    `sealed`: so many of the `height` records stand under a signed checkpoint that was checked.
    """

    exit_code: int
    sentence: str
    height: int
    head: str | None
    checkpoints: int
    index: int | None = None
    sealed: int = 0

    @property
    def valid(self) -> bool:
        return self.exit_code == ChainFinding.OK


class ChainFault(Exception):
    def __init__(self, finding: ChainFinding, sentence: str, index: int | None = None) -> None:
        super().__init__(sentence)
        self.finding, self.index = finding, index


def verify_folder(
    folder: Path,
    *,
    public_key: bytes | None = None,
    anchors: Sequence[Path] = (),
    witness_key: bytes | None = None,
) -> Verdict:
    """Check the chain in `folder` against its own checkpoints and those in `anchors`.

    Without a pinned public key the genesis record's own is taken, which proves less. `witness_key`
    is what anchors may be signed with instead. Raises UserError if there is nothing to check.
    """
    examination = _Examination(folder, public_key, anchors, witness_key)
    try:
        examination.run()
    except ChainFault as bad:
        return examination.verdict(bad.finding, str(bad), bad.index)
    return examination.conclusion()


class _Examination:
    def __init__(
        self,
        folder: Path,
        public_key: bytes | None,
        anchors: Sequence[Path],
        witness_key: bytes | None,
    ) -> None:
        self._files = require_chain(folder)
        for anchor in anchors:
            if not anchor.is_file():
                raise UserError(
                    f"There is no anchor {anchor}; name a file of exported checkpoints."
                )
        # What is sealed while we read is left to the next time: the notes' sizes are taken before
        # the records.
        notes = (read_notes(file) for file in (folder / FILE, *anchors))
        self._notes = heapq.merge(*notes, key=lambda note: note.size)
        self._keys = {key_id_of(key): key for key in (public_key, witness_key) if key}
        self._pinned = public_key is not None
        self._next: Note | None = None
        self._chain_id = ""
        self._state = ChainState()
        self._checked = self._sealed = 0
        self._torn = False
        self._gap: ChainFault | None = None

    def run(self) -> None:
        state, add = self._state, self._state.add
        for index, line in enumerate(self._lines()):
            try:
                payload, this_hash = open_line(line, state.head)
                if index == 0:
                    self._begin(payload)
                elif payload.get("type") == GAP:
                    self._note_gap(read_gap(payload), index)
                if repeated := add(payload, line, this_hash):
                    self._note_gap(repeated, index)
            except BrokenLink as error:
                raise ChainFault(
                    ChainFinding.BROKEN_LINK, f"record {index}: {error}", index
                ) from error
            except NotCanonical as error:
                raise ChainFault(
                    ChainFinding.NOT_CANONICAL, f"record {index}: {error}", index
                ) from error
            if self._next and self._next.size <= state.tree.size:
                self._check_notes()
        self._end()

    def _lines(self) -> Iterator[bytes]:
        for file in self._files:
            with file.open("rb") as handle:
                for line in handle:
                    if line.endswith(b"\n"):
                        yield line[:-1]
                    elif file == self._files[-1]:
                        self._torn = True
                    else:
                        index = self._state.height
                        raise ChainFault(
                            ChainFinding.BROKEN_LINK,
                            f"{file.name} ends in the middle of record {index}",
                            index,
                        )

    # --- the beginning and the end ----------------------------------------------------------------

    def _begin(self, payload: Mapping[str, Any]) -> None:
        if payload.get("type") != GENESIS:
            raise ChainFault(
                ChainFinding.TRUNCATED,
                "the first record is not the genesis: the chain's beginning is missing",
                0,
            )
        key = _genesis_key(payload)
        if self._pinned and key_id_of(key) not in self._keys:
            raise ChainFault(
                ChainFinding.BAD_SIGNATURE,
                "the chain was begun with another key than the one it is checked by",
                0,
            )
        self._keys.setdefault(key_id_of(key), key)
        self._chain_id = chain_id(payload)
        self._advance()

    def _end(self) -> None:
        height = self._state.height
        if self._next:
            self._check_signature(self._next)
            sentence = f"a checkpoint covers {self._next.size} records, but only {height} are here"
            raise ChainFault(ChainFinding.TRUNCATED, f"{sentence}: the end is missing", height)
        for gap in self._state.numbers.missing_gaps():
            self._note_gap(gap, None)
        if self._gap:
            raise self._gap
        if height == 0 and not self._torn:
            raise ChainFault(
                ChainFinding.TRUNCATED, "there is no record: not even the genesis is left", 0
            )

    # --- checkpoints ------------------------------------------------------------------------------

    def _advance(self) -> None:
        try:
            self._next = next(self._notes, None)
        except ValueError as error:
            raise ChainFault(
                ChainFinding.BAD_SIGNATURE, f"a checkpoint cannot be read: {error}"
            ) from error

    def _check_notes(self) -> None:
        while self._next and self._next.size <= self._state.height:
            self._check(self._next)
            self._checked += 1
            self._sealed = max(self._sealed, self._next.size)
            self._advance()

    def _check(self, note: Note) -> None:
        self._check_signature(note)
        if note.size < self._state.height:
            raise ChainFault(
                ChainFinding.REWRITTEN,
                f"the checkpoint over {note.size} records is out of order",
                note.size - 1,
            )
        if note.root != self._state.tree.root().hex():
            sentence = (
                f"the first {note.size} records are not those that were signed: "
                "the chain was rewritten"
            )
            raise ChainFault(ChainFinding.REWRITTEN, sentence, note.size - 1)

    def _check_signature(self, note: Note) -> None:
        if not is_signed(note, self._keys):
            sentence = f"the checkpoint over {note.size} records is not signed by the auditor's key"
            raise ChainFault(ChainFinding.BAD_SIGNATURE, sentence, note.size - 1)
        if note.chain_id != self._chain_id:
            sentence = f"the checkpoint over {note.size} records is of another chain"
            raise ChainFault(ChainFinding.REWRITTEN, sentence, note.size - 1)

    # --- numbers ----------------------------------------------------------------------------------

    def _note_gap(self, gap: Gap, index: int | None) -> None:
        """The first one is told, unless something worse is found."""
        numbers = f"{gap.first}" if gap.first == gap.last else f"{gap.first} to {gap.last}"
        fate = "are not in the chain" if gap.kind == "missing" else "came twice"
        self._gap = self._gap or ChainFault(
            ChainFinding.WRITER_GAP, f"of {gap.writer}'s numbers, {numbers} {fate}", index
        )

    # --- the verdict ------------------------------------------------------------------------------

    def conclusion(self) -> Verdict:
        if self._torn:
            return self.verdict(
                ChainFinding.TORN_TAIL, "the last line is torn; every whole record verifies", None
            )
        rest = self._state.height - self._sealed
        tail = f"; the last {rest} are under no checkpoint yet" if rest else ""
        return self.verdict(
            ChainFinding.OK, f"every record and every checkpoint verifies{tail}", None
        )

    def verdict(self, finding: ChainFinding, sentence: str, index: int | None) -> Verdict:
        return Verdict(
            exit_code=int(finding),
            sentence=sentence,
            height=self._state.height,
            head=self._state.head,
            checkpoints=self._checked,
            index=index,
            sealed=self._sealed,
        )


def _genesis_key(payload: Mapping[str, Any]) -> bytes:
    try:
        return bytes.fromhex(payload["auditor_key"]["public"])
    except (KeyError, TypeError, ValueError) as error:
        raise ChainFault(
            ChainFinding.NOT_CANONICAL, "the genesis names no key of the auditor", 0
        ) from error


def verify_legacy(file: Path) -> Verdict:
    """A file of this system's predecessor: one JSON record a line."""
    count = 0

    def count_lines(lines: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal count
        for line in lines:
            yield line
            count += 1

    try:
        with file.open("rb") as handle:
            broken = first_broken_legacy(count_lines(handle))
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    ok = broken is None
    return Verdict(
        exit_code=int(ChainFinding.OK if ok else ChainFinding.BROKEN_LINK),
        sentence="every record follows from the one before"
        if ok
        else f"record {broken} does not follow",
        height=count if broken is None else broken,
        head=None,
        checkpoints=0,
        index=broken,
    )
