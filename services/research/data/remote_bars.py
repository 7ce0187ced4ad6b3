"""Bars that lie elsewhere, by fsspec URL: `file:///bars`, `s3://bucket/archive`, a Parquet file behind any of them.

Called by market.py, on the machine of the command line and on every worker. What is on this machine
is used where it lies; the rest is copied once per state and kept. It reads only; who may read is
the URL's own business.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS
from shared.runtime.archive.manifest import ARRAYS, MANIFEST, Manifest

MARK = "://"


def is_url(bars: str) -> bool:
    return MARK in bars


def at_hand(url: str, cache: Path) -> Path:
    """The folder of an archive or a file of bars on this machine. UserError: unknown kind, absent, not allowed."""
    try:
        return _fetched(url, cache)
    except (OSError, ValueError, ImportError, msgspec.DecodeError) as error:
        raise UserError(f"The bars {url} cannot be read: {error}.") from error


def is_archive(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _fetched(url: str, cache: Path) -> Path:
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    if "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
        return Path(path)
    if not files.exists(f"{path}/{MANIFEST}"):
        state = f"{files.checksum(path)}".encode()
        return (
            _copied(files, path, {Path(path).name: ""}, cache / _name(url, state)) / Path(path).name
        )
    text = files.cat_file(f"{path}/{MANIFEST}")
    generation = msgspec.json.decode(text, type=Manifest).generation
    names = {
        f"{ARRAYS}/{generation}/{field}.npy": f"/{ARRAYS}/{generation}/{field}.npy"
        for field in FIELDS
    }
    return _copied(files, path, {**names, MANIFEST: f"/{MANIFEST}"}, cache / _name(url, text))


def _copied(files: Any, root: str, names: dict[str, str], folder: Path) -> Path:
    """`names`: file here -> what follows `root` there."""
    if folder.exists():
        return folder
    aside = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        for name, place in names.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            files.get_file(root + place, str(aside / name))
        if not folder.exists():
            aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def _name(url: str, state: bytes) -> str:
    return hashlib.sha256(url.encode() + b"\0" + state).hexdigest()[:20]
