"""The services' log files read as one: merged by time, followed through rotations."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from shared.schemas.json_types import JsonObject

POLL_SECONDS = 0.3
"""Often enough to read along, rarely enough to cost nothing."""


def tail(folder: Path, count: int) -> list[JsonObject]:
    """The last lines of all services, in order of time."""
    lines = [
        line
        for file in _files(folder)
        for line in _parse(file.read_text(errors="replace"))[-count:]
    ]
    return sorted(lines, key=lambda line: str(line.get("ts", "")))[-count:]


def follow(folder: Path) -> Iterator[JsonObject]:
    """Lines written from now on, forever."""
    handles: dict[Path, IO[str]] = {}
    for file in _files(folder):
        handles[file] = file.open(errors="replace")
        handles[file].seek(0, 2)
    while True:
        lines = [line for file in _files(folder) for line in _new_lines(file, handles)]
        yield from sorted(lines, key=lambda line: str(line.get("ts", "")))
        if not lines:
            time.sleep(POLL_SECONDS)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/events.jsonl")) + sorted(folder.glob("events.jsonl"))


def _new_lines(file: Path, handles: dict[Path, IO[str]]) -> list[JsonObject]:
    if file not in handles or _has_rotated(file, handles[file]):
        handles[file] = file.open(errors="replace")
    return _parse(handles[file].read())


def _has_rotated(file: Path, handle: IO[str]) -> bool:
    return file.stat().st_size < handle.tell()


def _parse(text: str) -> list[JsonObject]:
    lines = []
    for line in text.splitlines():
        try:
            lines.append(msgspec.json.decode(line))
        except msgspec.DecodeError:
            continue
    return [line for line in lines if isinstance(line, dict)]
