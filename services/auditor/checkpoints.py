"""Signed notes over the chain: so many records have this Merkle root. Appended to a file of their own, published.

A note is three lines and a signature line; what is signed is the three lines. Used by the recorder and by verify.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import msgspec

from shared.runtime.signing import Signer

FILE = "checkpoints.notes"
ORIGIN = "kobe81/audit"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint as read: `root` is hex, `signed` the bytes that `signature` covers."""

    chain_id: str
    size: int
    root: str
    key_id: str
    signature: bytes
    signed: bytes


def write_note(signer: Signer, *, chain_id: str, size: int, root: bytes) -> str:
    """The note as one text of four lines."""
    text = f"{ORIGIN}/{chain_id}\n{size}\n{root.hex()}\n"
    signature = base64.b64encode(signer.sign_bytes(text.encode())).decode()
    return f"{text}{signer.key_id} {signature}\n"


def read_note(text: str) -> Note:
    """Raises ValueError for anything that is not such a note."""
    origin, size, root, signed_by, *rest = text.split("\n")
    if rest != [""] or not origin.startswith(f"{ORIGIN}/"):
        raise ValueError("not a checkpoint of this system")
    key_id, _, signature = signed_by.partition(" ")
    return Note(
        chain_id=origin.removeprefix(f"{ORIGIN}/"),
        size=int(size),
        root=root,
        key_id=key_id,
        signature=base64.b64decode(signature, validate=True),
        signed=f"{origin}\n{size}\n{root}\n".encode(),
    )


def append_note(folder: Path, note: str) -> None:
    """Notes are parted by an empty line; on disk and synced when this returns."""
    with (folder / FILE).open("a") as file:
        file.write(note + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_notes(folder: Path) -> list[Note]:
    """Every whole note of the folder; a last one torn by power loss is passed over."""
    file = folder / FILE
    if not file.exists():
        return []
    blocks = file.read_text().split("\n\n")
    return [read_note(block + "\n") for block in blocks[:-1]]
