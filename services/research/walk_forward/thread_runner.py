"""Runs a walk-forward's tasks on this machine's cores and stores each result in a file.

Called by `kobe walk-forward`. Interrupted and run again, it continues; a damaged file is computed
anew. It never looks at what a result says.
"""

import contextlib
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from services.research.walk_forward.tasks import Result, Task, decode_result, encode, task_key
from services.research.walk_forward.trials import ReportSteps, Trials
from shared.domain.errors import UserError
from shared.runtime.atomic_file import write_file


class WorkCanceled(Exception):
    """Another task failed, or the user interrupted."""


class ThreadRunner:
    """Stores results in `folder` by the keys of their tasks."""

    def __init__(
        self, trials: Trials, folder: Path, advance: ReportSteps = lambda _steps: None
    ) -> None:
        self._trials = trials
        self._folder = folder
        self._advance = advance
        self._stop = threading.Event()
        self.used: set[str] = set()
        """Names of the files that belong to this run."""

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
        try:
            return list(pool.map(self._do, tasks))
        finally:
            self._stop.set()
            pool.shutdown(cancel_futures=True)
            self._stop.clear()

    def forget_others(self) -> None:
        """Delete what earlier runs with other inputs have left."""
        for file in self._folder.glob("*.json"):
            if file.name not in self.used:
                file.unlink(missing_ok=True)

    def _do(self, task: Task) -> Result:
        file = self._folder / f"{task_key(task)}.json"
        self.used.add(file.name)
        with contextlib.suppress(OSError, msgspec.DecodeError):
            found = decode_result(file.read_bytes(), task)
            self._advance(task.steps)
            return found
        result = self._trials.do(task, self._step)
        _store(file, encode(result))
        return result

    def _step(self, steps: int) -> None:
        if self._stop.is_set():
            raise WorkCanceled
        self._advance(steps)


def _store(file: Path, text: str) -> None:
    """Not synced: what a power cut takes is computed again."""
    try:
        write_file(file, text, durable=False)
    except OSError as error:
        raise UserError(
            f"The results could not be written to {file.parent}: {error.strerror}."
        ) from error
