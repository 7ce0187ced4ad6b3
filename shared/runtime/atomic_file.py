"""Files that are there whole or not at all, and still there after a power cut.

Every file that is replaced as a whole goes through here. A rename is atomic, but it lasts only once
the content and the folder that names it have been synced, in this order.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DRAFT = ".draft"


def write_file(
    path: Path, content: bytes | str, *, mode: int = 0o644, durable: bool = True
) -> None:
    """Replace `path` by a file with this content; the folder is made if it is missing.

    `mode` holds whatever the umask is, from the first byte on. `durable=False` is for what can be
    computed again: it skips both syncs. Raises OSError; `path` is then as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacement(path, mode=mode, durable=durable) as draft:
        draft.write_bytes(data)


@contextmanager
def replacement(path: Path, *, mode: int = 0o644, durable: bool = True) -> Iterator[Path]:
    """A draft beside `path` to write to; it takes the place of `path` if the block ends well.

    Raises OSError; `path` is then as it was, and the draft is gone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One draft a process: what a killed one left behind is overwritten by the next of its number.
    draft = path.with_name(f".{path.name}.{os.getpid()}{DRAFT}")
    draft.unlink(missing_ok=True)
    try:
        draft.touch(mode=mode, exist_ok=False)
        draft.chmod(mode)
        yield draft
        if durable:
            sync(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if durable:
        sync(path.parent)


def remove_file(path: Path) -> None:
    """Remove `path` for good; it may be absent. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders; NTFS journals names by itself
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
