"""The derived arrays of an archive.

One mapped file a field for the base, one small file for the last sessions.

Called by the archive and its writer. They can always be made again from the Parquet parts. No file
is ever changed in place: a view that is open goes on reading what it has.
"""

import hashlib
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import FIELDS, Floats, Panel
from shared.runtime.archive.manifest import ARRAYS
from shared.runtime.atomic_file import DRAFT, replacement, sync

Tail = NDArray[np.float64]
"""(fields, symbols, sessions), C-contiguous."""


def write_base(folder: Path, generation: str, panel: Panel) -> str:
    """The arrays of a panel as a generation of their own; the digest of their content.

    Derived, yet synced: after a power cut a reader must not map zeros.
    """
    target = folder / ARRAYS / generation
    draft = target.with_name(f".{generation}{DRAFT}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    digest = hashlib.sha256()
    for name in FIELDS:
        array = np.ascontiguousarray(getattr(panel, name))
        digest.update(array.data)
        path = draft / f"{name}.npy"
        with path.open("wb") as file:
            np.save(file, array)
        sync(path)
    if target.exists():
        shutil.rmtree(target)
    draft.rename(target)
    sync(target.parent)
    return digest.hexdigest()


def map_base(folder: Path, generation: str) -> dict[str, Floats] | None:
    """The fields of a generation, mapped; None if they are not all there."""
    fields = {name: _map(folder / ARRAYS / generation / f"{name}.npy") for name in FIELDS}
    found = {name: array for name, array in fields.items() if array is not None}
    return found if len(found) == len(FIELDS) else None


def digest_base(fields: dict[str, Floats]) -> str:
    digest = hashlib.sha256()
    for name in FIELDS:
        digest.update(np.ascontiguousarray(fields[name]).data)
    return digest.hexdigest()


def write_tail(folder: Path, digest: str, tail: Tail) -> str:
    """The last sessions in a file named by the archive's digest; its name."""
    name = f"tail-{digest[:16]}.npy"
    with replacement(folder / ARRAYS / name) as draft, draft.open("wb") as file:
        np.save(file, np.ascontiguousarray(tail))
    return name


def read_tail(folder: Path, name: str, symbols: int) -> Tail | None:
    """The last sessions, in memory; nothing without a name, None if the file is not whole."""
    if not name:
        return np.empty((len(FIELDS), symbols, 0))
    try:
        tail: Tail = np.load(folder / ARRAYS / name, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    is_whole = tail.dtype == np.float64 and tail.shape[:2] == (len(FIELDS), symbols)
    return tail if is_whole else None


def drop_arrays(folder: Path, keep: set[str]) -> None:
    """Remove generations and tails that no manifest names any more."""
    for path in (folder / ARRAYS).iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _map(path: Path) -> Floats | None:
    try:
        array: Floats = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.dtype == np.float64 and array.ndim == 2 else None
