"""The archive's truth behind an fsspec URL.

Pushed by its one writer, pulled and derived where it is read.

Only Parquet, factors, refusals and the manifest travel; arrays are made anew on each machine. Every
file but the manifest is named by its content, and the manifest goes last, so a reader sees the
former view or the new one. Who may read and write is the URL's own business.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import apply_splits
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import MANIFEST, PARTS, Manifest, decode_manifest
from shared.runtime.archive.publication import publish, with_base


def push(folder: Path, url: str) -> int:
    """Bring the archive behind the URL up to this one; how many files were sent.

    Raises TransientError if the place does not answer, UserError if it is no place.
    """
    manifest = BarArchive.open(folder).manifest
    files, root = _place(url)
    try:
        there = _names(files, root)
        sent = [name for name in _file_names(manifest) if name not in there]
        for name in sent:
            files.pipe_file(f"{root}/{name}", (folder / name).read_bytes())
        files.pipe_file(f"{root}/{MANIFEST}", (folder / MANIFEST).read_bytes())
        for name in there - set(_file_names(manifest)) - {MANIFEST}:
            files.rm_file(f"{root}/{name}")
    except OSError as error:
        raise TransientError(f"the bar archive {url} cannot be written: {error}") from error
    return len(sent) + 1


def pull(url: str, folder: Path) -> BarArchive:
    """Make the archive behind the URL at `folder`, which must not exist: copied, derived, verified.

    Raises UserError if there is none, or it is not what its digests speak of; TransientError if
    the place does not answer.
    """
    files, root = _place(url)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        content: bytes = files.cat_file(f"{root}/{MANIFEST}")
        manifest = decode_manifest(content, url)
        for name in _file_names(manifest):
            (draft / name).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(f"{root}/{name}", str(draft / name))
        archive = BarArchive(draft, manifest)
        raw = archive.verify_raw_panel()
        apply_splits(raw, archive.effective_splits)
        publish(draft, with_base(draft, manifest, raw))
        if not folder.exists():
            draft.rename(folder)
    except FileNotFoundError as error:
        raise UserError(f"There is no bar archive at {url} ({error}).") from error
    except OSError as error:
        raise TransientError(f"the bar archive {url} cannot be read: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return BarArchive.open(folder)


def _place(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UserError(f"{url} is no place for a bar archive: {error}.") from error
    return files, str(root).rstrip("/")


def _file_names(manifest: Manifest) -> Sequence[str]:
    """All that the manifest names, but arrays."""
    return (
        *(f"{PARTS}/{part.name}" for part in manifest.parts),
        manifest.refusals,
        manifest.factors,
    )


def _names(files: Any, root: str) -> set[str]:
    """What lies there of an archive, by the names that its manifest would use."""
    if not files.exists(root):
        return set()
    found = [str(path) for path in files.find(root) if str(path).endswith((".parquet", MANIFEST))]
    return {path[path.rindex(root) + len(root) :].lstrip("/") for path in found}
