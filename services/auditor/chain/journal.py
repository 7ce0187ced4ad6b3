"""The chain on disk: day files that only grow, synced before anything is said of them.

Written by the auditor alone (file lock). It never changes a byte that was synced; what a crash left
is recovery's. The position file only saves the next start from counting everything again; each
checkpoint renews it.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from services.auditor.chain.record import seal
from services.auditor.chain.recovery import POSITION, ChainPosition, read_genesis, recover
from services.auditor.chain.sequence_gaps import Gap
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.atomic_file import sync, write_file
from shared.runtime.locking import try_lock

LOCK = "lock"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class ChainJournal:
    """Append whole batches; `close` when done. Raises UserError if another process writes here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = _lock_folder(folder)
        self._descriptor = -1
        self._open_name = ""
        try:
            found = recover(folder)
            self.genesis = read_genesis(folder)
        except BaseException:
            self.close()
            raise
        self.state, self.torn_tail = found.state, found.torn_tail
        self._name, self._offset = found.file, found.offset

    @property
    def height(self) -> int:
        return self.state.height

    def append(self, payloads: Iterable[Mapping[str, Any]], *, day: dt.date) -> list[Gap]:
        """One write, one sync; the numbers that came a second time.

        Nothing counts before all of it is on disk. Raises TransientError when the disk will not
        take it (nothing was written then), InvariantBroken when it is unknown what the disk holds.
        """
        head, sealed = self.state.head, []
        for payload in payloads:
            line, head = seal(payload, head)
            sealed.append((payload, line, head))
        self._open(max(f"{day:%Y%m%d}.jsonl", self._name))
        self._write(b"".join(line + b"\n" for _, line, _ in sealed))
        repeated = [gap for record in sealed if (gap := self.state.add(*record))]
        self.genesis = self.genesis or sealed[0][0]
        return repeated

    def _write(self, data: bytes) -> None:
        try:
            left = memoryview(data)
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            self._undo(error)
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise InvariantBroken(
                f"{self._open_name} could not be synced ({error.strerror})"
            ) from error
        self._offset += len(data)

    def _undo(self, error: OSError) -> None:
        """After half a batch, go back to where the file was whole."""
        try:
            os.ftruncate(self._descriptor, self._offset)
        except OSError:
            raise InvariantBroken(
                f"{self._open_name} is half written ({error.strerror})"
            ) from error
        raise TransientError(
            f"the audit disk does not take more: {error.strerror}", retry_after=1.0
        ) from error

    def _open(self, name: str) -> None:
        """Open the day's file; a new one is synced into its folder before anything is written."""
        if self._open_name == name:
            return
        self._close_file()
        try:
            self._descriptor = os.open(self.folder / name, _APPEND, 0o644)
            sync(self.folder)
        except OSError as error:
            raise TransientError(
                f"{name} cannot be opened: {error.strerror}", retry_after=1.0
            ) from error
        self._open_name = name
        if name != self._name:
            self._name, self._offset = name, 0

    def keep_position(self) -> None:
        """Save the position, unsynced: what a power loss takes is counted again from the files."""
        state = self.state
        position = ChainPosition(
            height=state.height,
            head=state.head,
            file=self._name,
            offset=self._offset,
            peaks=tuple(peak.hex() for peak in state.tree.peaks),
            streams=state.streams,
            writers=state.numbers.to_lists(),
        )
        try:
            write_file(self.folder / POSITION, msgspec.json.encode(position), durable=False)
        except OSError as error:
            raise TransientError(
                f"the audit disk does not take more: {error.strerror}", retry_after=1.0
            ) from error

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._open_name = -1, ""

    def close(self) -> None:
        """Release the folder. A position not saved before is counted again; nothing is lost."""
        self._close_file()
        self._lock.close()


def _lock_folder(folder: Path) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UserError(
            f"The audit folder {folder} cannot be written: {error.strerror}.", exit_code=2
        ) from error
    if not try_lock(lock):
        lock.close()
        raise UserError(f"Another auditor writes into {folder}; there may be only one.")
    return lock
