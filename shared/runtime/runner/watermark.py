"""The highest version of its state that a service has committed, kept on its own volume.

A Redis whose copy is older than that (a cut log, an old backup, FLUSHALL) is noticed before
anything is done with it. Used by the runner.
"""

import os
from pathlib import Path

from shared.runtime.observability.log import logger

DIGITS = 20
# What cannot be read is taken for the highest there can be: better a halt too many.
UNREADABLE = int("9" * DIGITS)


class Watermark:
    """Written in place and not synced, for it is written with every step.

    What a power cut takes makes the mark lower, never wrong. With no folder it is forgotten with
    the process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / "watermark" if folder else None
        self._descriptor = -1
        self.version = self._read()

    def _read(self) -> int:
        if self._file is None or not self._file.exists():
            return 0
        try:
            return int(self._file.read_bytes())
        except (OSError, ValueError):
            return UNREADABLE

    def keep(self, version: int) -> None:
        """Remember that this version was committed, or is the one to go on from."""
        self.version = version
        if self._file is None:
            return
        try:
            os.pwrite(self._open(self._file), f"{version:0{DIGITS}d}\n".encode(), 0)
        except OSError as error:
            logger().error("watermark_not_saved", error=str(error))

    def _open(self, file: Path) -> int:
        if self._descriptor < 0:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        return self._descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
