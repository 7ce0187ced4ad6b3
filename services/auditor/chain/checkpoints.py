"""Checkpoints: signed notes (C2SP tlog-checkpoint) over the chain's size and RFC 6962 root.

A file of them holds note after note, each followed by an empty line; every byte of it belongs to a
note. Used by the recorder, the witnesses and whoever verifies.
"""

import base64
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from services.auditor.chain import signed_note
from services.auditor.chain.signed_note import DASH, SignedNote
from services.auditor.chain.trust import ORIGIN, origin_of
from shared.domain.errors import TransientError
from shared.runtime.atomic_file import write_file
from shared.runtime.signing import Signer

FILE = "checkpoints.notes"
# The newest checkpoint again with a later time: a quiet chain is seen to be alive.
FRESH = "fresh.note"
_ROOT_BYTES = 32
# A note with 32 signatures is below 8 KiB; a longer block is none and is not read into memory.
_LONGEST = 8192
_DASH = DASH.encode()


class NoteFileError(ValueError):
    """A file with bytes that belong to no checkpoint; the sentence says what they are."""


class TornNote(NoteFileError):
    """The file ends in the middle of a note, as after a power loss."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`root` is the tree's over the first `size` records of the log `origin`."""

    origin: str
    size: int
    root: bytes
    note: SignedNote

    @property
    def text(self) -> str:
        return self.note.text()

    @property
    def chain_id(self) -> str:
        return self.origin.removeprefix(f"{ORIGIN}/")


def body_of(chain_id: str, size: int, root: bytes) -> str:
    """The three lines that are signed."""
    return f"{origin_of(chain_id)}\n{size}\n{base64.b64encode(root).decode()}\n"


def sign_checkpoint(
    signer: Signer, *, chain_id: str, size: int, root: bytes, at: int
) -> Checkpoint:
    """As the auditor signs: plainly as a log does, and with the time (POSIX seconds)."""
    body, origin = body_of(chain_id, size, root), origin_of(chain_id)
    signatures = (
        signed_note.sign(signer, origin, body),
        signed_note.cosign(signer, origin, body, at),
    )
    return Checkpoint(origin, size, root, SignedNote(body, signatures))


def read_checkpoint(text: str) -> Checkpoint:
    """Raises ValueError for anything that is not a checkpoint of this system."""
    note = signed_note.read_note(text)
    lines = note.body.split("\n")
    if len(lines) != 4 or not lines[0].startswith(f"{ORIGIN}/"):
        raise ValueError("not a checkpoint of this system")
    origin, size, root, _ = lines
    digest = base64.b64decode(root, validate=True)
    if len(digest) != _ROOT_BYTES or not size.isascii() or not size.isdigit():
        raise ValueError("a checkpoint without a size and a root")
    checkpoint = Checkpoint(origin, int(size), digest, note)
    if body_of(checkpoint.chain_id, checkpoint.size, digest) != note.body:
        raise ValueError("a checkpoint that is not written as one is")
    return checkpoint


# --- files ----------------------------------------------------------------------------------------


def append_note(file: Path, note: str) -> None:
    """Append and sync one note.

    Raises TransientError if the disk is full; the file is then as it was.
    """
    with file.open("ab", buffering=0) as handle:
        before = handle.tell()
        try:
            if handle.write(data := note.encode() + b"\n") < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle.fileno())
        except OSError as error:
            handle.truncate(before)
            raise disk_full(error) from error


def replace_note(file: Path, note: str) -> None:
    """Put one note in the place of another, whole or not at all. Raises TransientError."""
    try:
        write_file(file, note)
    except OSError as error:
        raise disk_full(error) from error


def disk_full(error: OSError) -> TransientError:
    """What a disk that takes no more is to the caller: a reason to wait."""
    return TransientError(f"the audit disk does not take more: {error.strerror}", retry_after=1.0)


def read_notes(file: Path, size: int | None = None, *, start: int = 0) -> Iterator[Checkpoint]:
    """The checkpoints of a file from byte `start` up to `size`, one by one; none if it is absent.

    Raises NoteFileError at bytes that belong to no note, TornNote if the last one breaks off.
    """
    if not file.exists():
        return
    limit = file.stat().st_size if size is None else size
    for block, whole in _blocks(file, start, limit):
        try:
            yield read_checkpoint(block.decode())
        except ValueError as error:
            kind = NoteFileError if whole else TornNote
            raise kind(f"{file} holds what is no checkpoint: {error}") from error


def _blocks(file: Path, start: int, limit: int) -> Iterator[tuple[bytes, bool]]:
    """(note, whether the empty line after it is there). A lost last newline costs nothing."""
    block, signatures = b"", False
    with file.open("rb") as handle:
        handle.seek(start)
        while handle.tell() < limit and (line := handle.readline(_LONGEST)):
            if b"\r" in line:
                advice = "convert it, for example with `dos2unix`"
                raise NoteFileError(f"{file} has Windows line ends (CRLF); {advice}")
            if line == b"\n" and signatures:
                yield block, True
                block, signatures = b"", False
                continue
            block += line
            signatures = line.startswith(_DASH)
            if len(block) > _LONGEST:
                raise NoteFileError(f"{file} holds what is no checkpoint: a note of endless length")
    if block:
        yield block if block.endswith(b"\n") else block + b"\n", False


def mend_notes(file: Path) -> None:
    """Complete a last note that lacks its empty line; cut one torn by power loss.

    The next note then stands by itself.
    """
    if not file.exists():
        return
    with file.open("rb") as handle:
        start = max(0, handle.seek(0, os.SEEK_END) - _LONGEST)
        handle.seek(start)
        tail = handle.read()
    whole = _end_of_last(tail)
    if whole == len(tail) or (whole == 0 and start):
        return
    rest = tail[whole:] if tail.endswith(b"\n") else tail[whole:] + b"\n"
    try:
        read_checkpoint(rest.decode())
    except ValueError:
        os.truncate(file, start + whole)
    else:
        with file.open("r+b") as handle:
            handle.seek(start + whole)
            handle.write(rest + b"\n")


def _end_of_last(tail: bytes) -> int:
    """Where the last whole note ends; 0 if there is none."""
    end = len(tail)
    while (end := tail.rfind(b"\n\n", 0, end)) > 0:
        if tail[tail.rfind(b"\n", 0, end) + 1 :].startswith(_DASH):
            return end + 2
    return 0
