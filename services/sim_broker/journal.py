"""The broker's memory on disk: one JSON line per change, written before the answer.

A killed process loses nothing it has answered (the line is with the operating system); power loss
may cut the last line, which is then dropped. Rewritten as one line at every start and reset, so
that it does not grow without bound.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from services.sim_broker.exchange.account_book import Changes
from shared.domain.errors import UserError
from shared.runtime.atomic_file import write_file

_DECODER = msgspec.json.Decoder(Changes)


class EventJournal:
    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Iterator[Changes]:
        """Read every recorded change, oldest first. Raises UserError if a line is unreadable."""
        lines = self._path.read_bytes().split(b"\n") if self._path.exists() else [b""]
        for number, line in enumerate(lines[:-1], start=1):
            try:
                yield _DECODER.decode(line)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"The simulated broker's journal {self._path} is unreadable at line {number}: "
                    f"{error}; restore it, or remove it to begin with a new account."
                ) from error

    def append(self, changes: Changes) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(changes) + b"\n")

    def rewrite(self, everything: Changes) -> None:
        """Replace all lines by one, atomically."""
        write_file(self._path, msgspec.json.encode(everything) + b"\n")
