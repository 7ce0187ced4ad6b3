"""The chain on disk: day files that only grow, synced before anything is said of them.

Written by the auditor alone (file lock). It never changes a byte that was synced. What it remembers
of itself, renewed with each checkpoint, lies on another volume than the chain.
"""

import datetime as dt
import os
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from services.auditor.chain.checkpoints import (
    FILE,
    FRESH,
    Checkpoint,
    append_note,
    disk_full,
    mend_notes,
    replace_note,
    sign_checkpoint,
)
from services.auditor.chain.day_files import whole_lines
from services.auditor.chain.memory import (
    ChainMemory,
    ChainPosition,
    Remembered,
    load_memory,
    save_memory,
)
from services.auditor.chain.record import chain_id, hash_of_line, seal
from services.auditor.chain.recovery import recover
from services.auditor.chain.sequence_gaps import Gap
from services.auditor.chain.torn_tail import TornTail, set_aside
from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.atomic_file import sync
from shared.runtime.crash_points import CrashPoint, reach
from shared.runtime.locking import try_lock
from shared.runtime.signing import Signer
from shared.schemas.json_types import JsonMapping

LOCK = "lock"
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class ChainJournal:
    """Append whole batches, seal them; `close` when done.

    Raises UserError if another process writes here, InvariantBroken if the files are not what is
    remembered of them. Nothing is changed before `mend` or `append`.
    """

    def __init__(
        self, folder: Path, signer: Signer, *, memory: Path, remembered: Sequence[Remembered] = ()
    ) -> None:
        self.folder = folder
        self._signer, self._memory_file = signer, memory
        self._lock = _lock_folder(folder)
        self._descriptor = -1
        self._open_name = ""
        try:
            self.memory = load_memory(memory)
            found = recover(folder, self.memory, public_key=signer.public, remembered=remembered)
        except BaseException:
            self.close()
            raise
        self.state, self.genesis, self._torn = found.state, found.genesis, found.torn
        self.sealed_size = found.sealed.size if found.sealed else 0
        self._name, self._offset = found.file, found.offset

    @property
    def height(self) -> int:
        return self.state.height

    def append(self, payloads: Iterable[JsonMapping], *, day: dt.date) -> list[Gap]:
        """One write, one sync; the numbers that came a second time.

        Nothing counts before all of it is on disk. Raises TransientError when the disk will not
        take it (nothing was written then), InvariantBroken when it is unknown what the disk holds.
        """
        if self._torn:
            raise InvariantBroken(f"{self._name} has a torn end; it must be mended first")
        head, sealed = self.state.head, []
        for payload in payloads:
            line, head = seal(payload, head)
            sealed.append((payload, line, head))
        self._open(max(f"{day:%Y%m%d}.jsonl", self._name))
        self._write(b"".join(line + b"\n" for _, line, _ in sealed))
        reach(CrashPoint.FSYNCED)
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
        raise disk_full(error) from error

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

    # --- sealing ----------------------------------------------------------------------------------

    @property
    def chain_id(self) -> str:
        return chain_id(self.genesis or {})

    @property
    def unsealed(self) -> int:
        """Records under no checkpoint yet."""
        return self.height - self.sealed_size

    def seal(self, *, at: dt.datetime, cosigned: int = 0) -> Checkpoint:
        """Sign all, durably, and remember it. Raises TransientError if the disk is full."""
        checkpoint = self._checkpoint(at)
        reach(CrashPoint.CHECKPOINT)
        append_note(self.folder / FILE, checkpoint.text)
        self.sealed_size = checkpoint.size
        self.remember(cosigned)
        return checkpoint

    def refresh(self, *, at: dt.datetime) -> None:
        """Sign the newest checkpoint again with the time, where nothing has come since."""
        replace_note(self.folder / FRESH, self._checkpoint(at).text)

    def _checkpoint(self, at: dt.datetime) -> Checkpoint:
        return sign_checkpoint(
            self._signer,
            chain_id=self.chain_id,
            size=self.height,
            root=self.state.tree.root(),
            at=int(at.timestamp()),
        )

    def remember(self, cosigned: int = 0) -> None:
        """Keep on the auditor's own volume where the chain stands, or that it is about to begin."""
        position = ChainPosition.of(self.state, self._name, self._offset)
        self.memory = ChainMemory(position=position, cosigned=cosigned)
        save_memory(self._memory_file, self.memory)

    def hash_at(self, height: int) -> str | None:
        """The hash of the last of the first `height` records; None if there are fewer."""
        if height == self.height:
            return self.state.head
        line = next(islice(whole_lines(self.folder), height - 1, None), None)
        return hash_of_line(line) if line else None

    def mend(self) -> TornTail | None:
        """Set a torn end aside, mend torn notes; None if the records end whole."""
        mend_notes(self.folder / FILE)
        if not self._torn:
            return None
        self._torn = False
        return set_aside(self.folder / self._name, self._offset)

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
