"""The chain's files, for any reader: one file a day, one record a line, sorted by name."""

from collections.abc import Iterator
from pathlib import Path

from shared.domain.errors import UserError


def day_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def require_chain(folder: Path) -> list[Path]:
    """The day files; raises UserError if there are none."""
    files = day_files(folder) if folder.is_dir() else []
    if not files:
        raise UserError(
            f"There is no audit chain in {folder}; name the folder that holds its .jsonl files."
        )
    return files


def whole_lines(folder: Path) -> Iterator[bytes]:
    """Every record's line without its newline; a torn end is passed over."""
    for file in require_chain(folder):
        with file.open("rb") as handle:
            for line in handle:
                if line.endswith(b"\n"):
                    yield line[:-1]
