"""What a service itself keeps of the kill, on its own volume: the flag, and until when it has surely listened.

Used by the kill latch alone. A folder that cannot be written costs the memory of a restart, never
the halt itself.
"""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import msgspec
import structlog

FLAG_FILE, LISTENED_FILE = "killed.json", "listened"


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """A kill this service knows of; `id` is empty until it stands in the log."""

    id: str = ""
    why: str


class FlagFiles:
    """With no folder nothing outlives the process (in-process replay)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self) -> Flag | None:
        """A flag that cannot be read is a flag."""
        if self._folder is None:
            return None
        try:
            return msgspec.json.decode((self._folder / FLAG_FILE).read_bytes(), type=Flag)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            return Flag(why="the kill flag of an earlier run is unreadable")

    def save(self, flag: Flag | None) -> None:
        if self._folder is None:
            return
        try:
            self._write(self._folder, flag)
        except OSError as error:
            structlog.get_logger().error("kill_flag_not_saved", error=str(error))

    def _write(self, folder: Path, flag: Flag | None) -> None:
        path = folder / FLAG_FILE
        if flag is None:
            path.unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(flag))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)

    def listened_until(self) -> dt.datetime | None:
        try:
            text = (self._folder / LISTENED_FILE).read_text() if self._folder else ""
            return dt.datetime.fromisoformat(text) if text else None
        except (OSError, ValueError):
            return None

    def keep_listened_until(self, instant: dt.datetime) -> None:
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / LISTENED_FILE).write_text(instant.isoformat())
        except OSError as error:
            structlog.get_logger().error("kill_listened_not_saved", error=str(error))
