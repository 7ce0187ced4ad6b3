"""Checks a chain from its files alone, as an outsider would: links, form, numbers, signed checkpoints.

Called by `kobe audit verify` and the demo. Streams through any length in the memory of one record; changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.auditor.checkpoints import Note, read_notes
from services.auditor.journal import day_files
from shared.domain.chain import BrokenLink, NotCanonical, first_broken_legacy, open_line
from shared.domain.errors import UserError
from shared.domain.merkle import Frontier, leaf_hash


class Finding(IntEnum):
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
    """`index` is the record (from 0) at which the finding lies, where it has one."""

    exit_code: int
    sentence: str
    height: int
    head: str | None
    checkpoints: int
    index: int | None = None

    @property
    def valid(self) -> bool:
        return self.exit_code == Finding.OK


class Bad(Exception):
    def __init__(self, finding: Finding, sentence: str, index: int | None = None) -> None:
        super().__init__(sentence)
        self.finding, self.index = finding, index


@dataclass
class _Reading:
    notes: list[Note]
    key: bytes | None
    tree: Frontier = field(default_factory=Frontier.empty)
    head: str | None = None
    checked: int = 0
    numbers: dict[str, tuple[int, set[int]]] = field(default_factory=dict)
    torn: bool = False


def verify_folder(folder: Path, *, public_key: bytes | None = None) -> Verdict:
    """The chain in `folder`. Without a pinned key the genesis record's own is taken, which proves less."""
    if not folder.is_dir() or not day_files(folder):
        raise UserError(f"There is no audit chain in {folder}; name the folder that holds its .jsonl files.")
    try:
        notes = sorted(read_notes(folder), key=lambda note: note.size)
    except ValueError as error:
        return Verdict(
            exit_code=6, sentence=f"a checkpoint cannot be read: {error}", height=0, head=None, checkpoints=0
        )
    reading = _Reading(notes, public_key)
    try:
        for index, line in enumerate(_lines(folder, reading)):
            _take(reading, index, line)
        _finish(reading)
    except Bad as bad:
        return _verdict(reading, bad.finding, str(bad), bad.index)
    if reading.torn:
        return _verdict(reading, Finding.TORN_TAIL, "the last line is torn; every whole record verifies", None)
    return _verdict(reading, Finding.OK, "every record and every checkpoint verifies", None)


def _verdict(reading: _Reading, finding: Finding, sentence: str, index: int | None) -> Verdict:
    return Verdict(
        exit_code=int(finding),
        sentence=sentence,
        height=reading.tree.size,
        head=reading.head,
        checkpoints=reading.checked,
        index=index,
    )


def _lines(folder: Path, reading: _Reading) -> Iterator[bytes]:
    files = day_files(folder)
    for file in files:
        with file.open("rb") as handle:
            for line in handle:
                if line.endswith(b"\n"):
                    yield line[:-1]
                elif file == files[-1]:
                    reading.torn = True
                else:
                    raise Bad(Finding.BROKEN_LINK, f"{file.name} ends in the middle of a record", reading.tree.size)


def _take(reading: _Reading, index: int, line: bytes) -> None:
    try:
        payload, reading.head = open_line(line, reading.head)
    except BrokenLink as error:
        raise Bad(Finding.BROKEN_LINK, f"record {index}: {error}", index) from error
    except NotCanonical as error:
        raise Bad(Finding.NOT_CANONICAL, f"record {index}: {error}", index) from error
    if index == 0:
        _genesis(reading, payload)
    reading.tree.append(leaf_hash(line))
    if "seq" in payload:
        _count(reading, payload["writer"], payload["seq"])
    elif payload.get("type") == "WriterGap":
        raise Bad(Finding.WRITER_GAP, f"record {index}: {payload['subject']} {payload['kind']} numbers", index)
    while reading.checked < len(reading.notes) and reading.notes[reading.checked].size == reading.tree.size:
        _check_note(reading, reading.notes[reading.checked])
        reading.checked += 1


def _genesis(reading: _Reading, payload: dict[str, Any]) -> None:
    if payload.get("type") != "Genesis":
        raise Bad(Finding.TRUNCATED, "the first record is not the genesis: the chain's beginning is missing", 0)
    if reading.key is None:
        reading.key = bytes.fromhex(payload["auditor_key"]["public"])


def _check_note(reading: _Reading, note: Note) -> None:
    assert reading.key is not None
    try:
        Ed25519PublicKey.from_public_bytes(reading.key).verify(note.signature, note.signed)
    except InvalidSignature:
        raise Bad(
            Finding.BAD_SIGNATURE, f"the checkpoint over {note.size} records is not signed by this key"
        ) from None
    if note.root != reading.tree.root().hex():
        sentence = f"the first {note.size} records are not those of the signed checkpoint: the chain was rewritten"
        raise Bad(Finding.REWRITTEN, sentence, note.size - 1)


def _count(reading: _Reading, writer: str, seq: int) -> None:
    last, ahead = reading.numbers.get(writer, (0, set()))
    ahead.add(seq)
    while last + 1 in ahead:
        last += 1
        ahead.remove(last)
    reading.numbers[writer] = (last, ahead)


def _finish(reading: _Reading) -> None:
    if reading.checked < len(reading.notes):
        size = reading.notes[-1].size
        sentence = f"a checkpoint covers {size} records, but only {reading.tree.size} are here: the end is missing"
        raise Bad(Finding.TRUNCATED, sentence)
    for writer, (last, ahead) in reading.numbers.items():
        if ahead:
            raise Bad(Finding.WRITER_GAP, f"{writer} wrote a number {last + 1} that is not in the chain")


def verify_legacy(file: Path) -> Verdict:
    """A file of this system's predecessor: one JSON record a line."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}.") from error
    broken = first_broken_legacy(lines)
    ok = broken is None
    return Verdict(
        exit_code=int(Finding.OK if ok else Finding.BROKEN_LINK),
        sentence="every record follows from the one before" if ok else f"record {broken} does not follow",
        height=len(lines) if broken is None else broken,
        head=None,
        checkpoints=0,
        index=broken,
    )
