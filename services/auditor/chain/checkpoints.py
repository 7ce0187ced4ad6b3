"""Signed notes over the chain: so many records have this Merkle root. Kept in one file, published.

A note is three lines and a signature line; what is signed is the three lines. Notes are parted by
an empty line. Used by the recorder, the witness and by verify.
"""

from __future__ import annotations

import base64
import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.domain.errors import TransientError, UserError
from shared.runtime.signing import Keyring, Signer

FILE = "checkpoints.notes"
ORIGIN = "kobe81/audit"
_END = b"\n\n"
# A note is below 300 bytes; a longer block is none and is not read into memory.
_LONGEST = 4096


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as read: `root` is hex, `signed` the bytes that `signature` covers."""

    chain_id: str
    size: int
    root: str
    key_id: str
    signature: bytes
    signed: bytes
    text: str


def write_note(signer: Signer, *, chain_id: str, size: int, root: bytes) -> str:
    """The note as one text of four lines."""
    text = f"{ORIGIN}/{chain_id}\n{size}\n{root.hex()}\n"
    signature = base64.b64encode(signer.sign_bytes(text.encode())).decode()
    return f"{text}{signer.key_id} {signature}\n"


def read_note(text: str) -> Note:
    """Raises ValueError for anything that is not such a note."""
    lines = text.split("\n")
    if len(lines) != 5 or lines[4] or not lines[0].startswith(f"{ORIGIN}/"):
        raise ValueError("not a checkpoint of this system")
    origin, size, root, signed_by, _ = lines
    key_id, _, signature = signed_by.partition(" ")
    return Note(
        chain_id=origin.removeprefix(f"{ORIGIN}/"),
        size=int(size),
        root=root,
        key_id=key_id,
        signature=base64.b64decode(signature, validate=True),
        signed=f"{origin}\n{size}\n{root}\n".encode(),
        text=text,
    )


def is_signed(note: Note, keys: Mapping[str, bytes]) -> bool:
    """Whether one of `keys` (key id -> raw public key) signed exactly this note."""
    key = keys.get(note.key_id)
    if key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(note.signature, note.signed)
    except (InvalidSignature, ValueError):
        return False
    return True


def load_public_keys(file: Path) -> dict[str, bytes]:
    """Owner -> raw public key, as pinned in a `public_keys.json`. Raises UserError."""
    keyring = Keyring.load(file)
    return {
        owner: keyring.keys[key_id].public_bytes_raw() for key_id, owner in keyring.owners.items()
    }


def load_public_key(file: Path, owner: str) -> bytes:
    """Raises UserError if the file names none for it."""
    if key := load_public_keys(file).get(owner):
        return key
    raise UserError(f"{file} names no key of the {owner}.")


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
            raise TransientError(
                f"the audit disk does not take more: {error.strerror}", retry_after=1.0
            ) from error


def read_notes(file: Path) -> Iterator[Note]:
    """The whole notes of a file as it is at the call; a last one torn by power loss is skipped.

    Raises ValueError for what is no note.
    """
    return _notes(file, file.stat().st_size) if file.exists() else iter(())


def _notes(file: Path, size: int) -> Iterator[Note]:
    block = b""
    with file.open("rb") as handle:
        while handle.tell() < size and (line := handle.readline(_LONGEST)):
            if line != b"\n":
                block += line
                if len(block) > _LONGEST:
                    raise ValueError("not a checkpoint of this system")
                continue
            yield read_note(block.decode())
            block = b""


def last_note(file: Path) -> Note | None:
    """Raises ValueError if it is none."""
    end = _tail(file)
    return read_note(end.removesuffix(b"\n").rpartition(_END)[2].decode()) if end else None


def cut_torn_note(file: Path) -> None:
    """Cut a last note torn by power loss, so that the next one stands by itself."""
    if not file.exists():
        return
    whole, start = len(_tail(file)), max(0, file.stat().st_size - _LONGEST)
    if whole or start == 0:
        os.truncate(file, start + whole)


def _tail(file: Path) -> bytes:
    """The last bytes of the file, up to the end of its last whole note; empty if there is none."""
    if not file.exists():
        return b""
    with file.open("rb") as handle:
        handle.seek(max(0, handle.seek(0, os.SEEK_END) - _LONGEST))
        tail = handle.read()
    return tail[: tail.rfind(_END) + len(_END)] if _END in tail else b""
