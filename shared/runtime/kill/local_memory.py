"""What a service itself keeps of the kill, on its own volume: the flag, and what it surely knows.

Used by the kill latch alone. A folder that cannot be written costs the memory of a restart, never
the halt itself.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.runtime.atomic_file import remove_file, write_file
from shared.runtime.observability.log import logger

FLAG_FILE, KNOWLEDGE_FILE = "killed.json", "kill_knowledge.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """A kill this service knows of; `id` is empty until it stands in the log.

    `ear` and `run` name the connection that listens since, if the kill is for a gap.
    """

    why: str
    id: str = ""
    ear: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """Until when it has surely listened, and the last entry of the log it has ever seen."""

    listened_until: dt.datetime | None = None
    last_id: str = ""


class LocalMemory:
    """With no folder nothing outlives the process (in-process replay)."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def flag(self) -> Flag | None:
        """A flag that cannot be read is a flag."""
        if self._folder is None:
            return None
        try:
            return msgspec.json.decode((self._folder / FLAG_FILE).read_bytes(), type=Flag)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            return Flag(why="the kill flag of an earlier run is unreadable")

    def save_flag(self, flag: Flag | None) -> None:
        def save(folder: Path) -> None:
            if flag is None:
                remove_file(folder / FLAG_FILE)
            else:
                write_file(folder / FLAG_FILE, msgspec.json.encode(flag))

        self._attempt(save, "kill_flag_not_saved")

    def knowledge(self) -> Knowledge:
        """What cannot be read is not known: the gap is then without end."""
        try:
            data = (self._folder / KNOWLEDGE_FILE).read_bytes() if self._folder else b""
            return msgspec.json.decode(data, type=Knowledge)
        except (OSError, msgspec.MsgspecError):
            return Knowledge()

    def keep_knowledge(self, knowledge: Knowledge) -> None:
        """Not synced: a power cut makes the gap longer, which is on the safe side."""
        self._attempt(
            lambda folder: write_file(
                folder / KNOWLEDGE_FILE, msgspec.json.encode(knowledge), durable=False
            ),
            "kill_knowledge_not_saved",
        )

    def _attempt(self, save: Callable[[Path], None], event: str) -> None:
        if self._folder is None:
            return
        try:
            save(self._folder)
        except OSError as error:
            logger().error(event, error=str(error))
