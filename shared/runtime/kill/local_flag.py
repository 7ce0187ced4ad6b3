"""What a service itself keeps of the kill, on its own volume: the flag, and until when it has surely listened.

Used by the kill latch alone. A folder that cannot be written costs the memory of a restart, never
the halt itself.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import msgspec
import structlog

from shared.runtime.atomic_file import remove_file, write_file

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
            remove_file(path)
            return
        write_file(path, msgspec.json.encode(flag))

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
            # A power cut also cuts off the service: an older instant only makes the gap longer.
            write_file(self._folder / LISTENED_FILE, instant.isoformat(), durable=False)
        except OSError as error:
            structlog.get_logger().error("kill_listened_not_saved", error=str(error))
