"""Bars that lie elsewhere, by fsspec URL: `file:///bars`, `s3://bucket/archive`, a file of bars.

Called by dataset.py, on the machine of the command line and on every worker. What is on this
machine is used where it lies; the rest is copied once per state and kept. It reads only; who may
read is the URL's own business.
"""

import hashlib
from pathlib import Path
from typing import Any

from shared.domain.errors import TransientError, UserError
from shared.runtime.archive import remote
from shared.runtime.archive.manifest import MANIFEST
from shared.runtime.atomic_file import replacement

MARK = "://"


def is_url(bars: str) -> bool:
    return MARK in bars


def at_hand(url: str, cache: Path) -> Path:
    """The folder of an archive or a file of bars on this machine.

    Raises UserError for a kind that is unknown, or what is absent or not allowed.
    """
    try:
        return _fetch(url, cache)
    except (OSError, ValueError, ImportError, TransientError) as error:
        raise UserError(f"The bars {url} cannot be read: {error}.") from error


def is_archive(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def _fetch(url: str, cache: Path) -> Path:
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    if "file" in (files.protocol if isinstance(files.protocol, tuple) else (files.protocol,)):
        return Path(path)
    if not files.exists(f"{path}/{MANIFEST}"):
        state = f"{files.checksum(path)}".encode()
        return _copy_file(files, path, cache / _name(url, state) / Path(path).name)
    folder = cache / _name(url, files.cat_file(f"{path}/{MANIFEST}"))
    return folder if folder.exists() else remote.pull(url, folder).folder


def _copy_file(files: Any, there: str, here: Path) -> Path:
    if here.exists():
        return here
    with replacement(here, durable=False) as draft:
        files.get_file(there, str(draft))
    return here


def _name(url: str, state: bytes) -> str:
    return hashlib.sha256(url.encode() + b"\0" + state).hexdigest()[:20]
