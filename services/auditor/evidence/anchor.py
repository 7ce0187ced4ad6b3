"""Copies the newest checkpoint to a place that the stack cannot rewrite; `kobe audit anchor`.

Only a checkpoint that the pinned key signed, over records that are there, is worth keeping.
"""

import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from services.auditor.chain.checkpoints import FILE, Checkpoint, read_notes
from services.auditor.chain.day_files import require_chain
from services.auditor.chain.witness_files import WITNESSED, witness_folders
from shared.domain.errors import UserError


def newest_checkpoint(folder: Path, witnesses: Sequence[Path] = ()) -> Checkpoint:
    """Of a chain verified before; with the witness's signature where it has already signed.

    Raises UserError if there is none.
    """
    require_chain(folder)
    files = [folder / FILE, *(each / WITNESSED for each in witness_folders(witnesses))]
    newest = [note for file in files if (note := _last(file))]
    if not newest:
        raise UserError(
            f"There is no checkpoint in {folder} yet; one is made every minute while it runs."
        )
    return max(newest, key=lambda note: (note.size, len(note.note.signatures)))


def _last(file: Path) -> Checkpoint | None:
    last = deque(read_notes(file), maxlen=1)
    return last[0] if last else None


def anchor(note: Checkpoint, file: Path) -> None:
    """Add it, once, to a file of checkpoints, synced.

    Raises UserError if the file holds anything but checkpoints of this chain, or cannot be written.
    """
    try:
        known = [each.text for each in read_notes(file)]
    except ValueError as error:
        raise UserError(f"{file} is not added to: {error}.") from error
    if note.text in known:
        return
    try:
        is_whole = not known or file.read_bytes().endswith(b"\n\n")
        with file.open("a") as handle:
            handle.write(f"{'' if is_whole else _missing_end(file)}{note.text}\n")
            handle.flush()
            os.fsync(handle.fileno())
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def _missing_end(file: Path) -> str:
    """The newlines that a copied anchor lacks after its last note."""
    return "\n" if file.read_bytes().endswith(b"\n") else "\n\n"
