"""The chain on disk: day files that only grow, synced before anything is said of them, and the position after them.

Written by the auditor alone (file lock). On start it takes in what a crash left: whole records after the position are
counted, a torn last line is cut and kept aside; a file shorter than its position is tampering and stops the auditor.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from collections.abc import Iterable, Mapping
from io import BufferedRandom
from pathlib import Path
from typing import IO, Any

import msgspec

from shared.domain.chain import BrokenLink, NotCanonical, open_line, seal
from shared.domain.errors import InvariantBroken, UserError
from shared.domain.merkle import Frontier, leaf_hash

POSITION = "position.json"
LOCK = "lock"
RECOVERY = "Recovered"


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What is surely on disk: `offset` bytes of `file`; each stream's last entry read, each writer's last number."""

    height: int = 0
    head: str | None = None
    file: str = ""
    offset: int = 0
    peaks: tuple[str, ...] = ()
    streams: dict[str, str] = {}
    writers: dict[str, int] = {}


def day_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


class Journal:
    """Append whole batches; `close` when done. Raises UserError if another process writes here."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = _locked(folder / LOCK)
        self._file: IO[bytes] | None = None
        try:
            self.position = _read_position(folder)
            self.tree = Frontier(self.position.height, [bytes.fromhex(peak) for peak in self.position.peaks])
            self.recovered = self._recover()
        except BaseException:
            self.close()
            raise

    @property
    def height(self) -> int:
        return self.position.height

    def append(
        self,
        payloads: Iterable[Mapping[str, Any]],
        *,
        day: dt.date,
        streams: Mapping[str, str] | None = None,
        writers: Mapping[str, int] | None = None,
    ) -> None:
        """One write, one sync, then the position. Nothing of a batch counts before all of it is on disk."""
        name = max(f"{day:%Y%m%d}.jsonl", self.position.file)
        head, lines = self.position.head, []
        for payload in payloads:
            line, head = seal(payload, head)
            lines.append(line)
        file = self._open(name)
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
        for line in lines:
            self.tree.append(leaf_hash(line))
        self._move(head, name, file.tell(), streams or {}, writers or {})

    def _move(
        self, head: str | None, name: str, offset: int, streams: Mapping[str, str], writers: Mapping[str, int]
    ) -> None:
        self.position = Position(
            height=self.tree.size,
            head=head,
            file=name,
            offset=offset,
            peaks=tuple(peak.hex() for peak in self.tree.peaks),
            streams={**self.position.streams, **streams},
            writers={**self.position.writers, **writers},
        )
        aside = self.folder / f".{POSITION}"
        aside.write_bytes(msgspec.json.encode(self.position))
        aside.replace(self.folder / POSITION)

    def _open(self, name: str) -> IO[bytes]:
        if self._file is None or Path(str(self._file.name)).name != name:
            if self._file is not None:
                self._file.close()
            self._file = (self.folder / name).open("ab")
        return self._file

    def _recover(self) -> int:
        """Count what was written after the position; the number of bytes cut from a torn end."""
        self._refuse_shortened()
        torn = 0
        for file in day_files(self.folder):
            if file.name < self.position.file:
                continue
            start = self.position.offset if file.name == self.position.file else 0
            with file.open("r+b") as handle:
                handle.seek(start)
                torn += self._take_in(file, handle, start)
        return torn

    def _refuse_shortened(self) -> None:
        if not self.position.file:
            return
        file = self.folder / self.position.file
        size = file.stat().st_size if file.exists() else 0
        if size < self.position.offset:
            raise InvariantBroken(
                f"{file} has {size} bytes where {self.position.offset} were written: the chain was cut. "
                "Restore it from a backup; `kobe audit verify` says what is missing."
            )

    def _take_in(self, file: Path, handle: BufferedRandom, start: int) -> int:
        offset = start
        for line in handle:
            try:
                if not line.endswith(b"\n"):
                    raise NotCanonical("torn")
                payload, this_hash = open_line(line[:-1], self.position.head)
            except (NotCanonical, BrokenLink):
                return self._cut(file, handle, offset)
            offset += len(line)
            self.tree.append(leaf_hash(line[:-1]))
            self._move(this_hash, file.name, offset, *read_from(payload))
        return 0

    def _cut(self, file: Path, handle: BufferedRandom, offset: int) -> int:
        """What follows `offset` is no record: keep it aside, and go on from there."""
        handle.seek(offset)
        torn = handle.read()
        (self.folder / f"{file.stem}.torn-{offset}").write_bytes(torn)
        handle.truncate(offset)
        os.fsync(handle.fileno())
        return len(torn)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._lock.close()


def read_from(payload: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, int]]:
    """Where a record was read: {stream: entry id}, and {writer: seq} if it has a number."""
    streams = {payload["stream"]: payload["entry_id"]} if "stream" in payload else {}
    writers = {payload["writer"]: payload["seq"]} if "seq" in payload else {}
    return streams, writers


def _locked(path: Path) -> IO[str]:
    lock = path.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"Another auditor writes into {path.parent}; there may be only one.") from None
    return lock


def _read_position(folder: Path) -> Position:
    try:
        return msgspec.json.decode((folder / POSITION).read_bytes(), type=Position)
    except FileNotFoundError:
        return Position()
    except msgspec.MsgspecError as error:
        raise InvariantBroken(f"{folder / POSITION} is unreadable ({error}); restore it from a backup") from error
