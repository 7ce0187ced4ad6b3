"""A worker of the research queue: keeps bars open and kernels warm, task after task.

Started by `kobe worker`, as many as there are cores to spare. It sends heartbeats while it works,
so that the job of one that dies is taken over within seconds. It does no work but that of
trials.py, and refuses other bars or code.
"""

import os
import threading
from functools import lru_cache
from typing import Any

from rq import Queue
from rq.job import Job
from rq.worker import SimpleWorker

from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs
from services.research.walk_forward.plan import code_of
from services.research.walk_forward.queue_runner import (
    QUEUE,
    SERIALIZER,
    connect,
    explain_unreachable,
)
from services.research.walk_forward.tasks import Task, decode_task, encode
from services.research.walk_forward.trials import Trials
from shared.domain.errors import UserError
from shared.runtime.config.settings import code_digest

BEAT, DEAD_AFTER = 2.0, 10
"""Seconds between heartbeats, and until a silent worker's job goes to another.

Five missed beats.
"""
MARKETS = 2
"""Sets of bars kept open; two users may share a worker."""


def work(url: str, *, burst: bool = False) -> None:
    """Work until stopped by a signal; with `burst` until the queue is empty."""
    from services.research.engine.warm_up import warm

    warm()
    connection = connect(url)
    with explain_unreachable():
        connection.ping()
        queue = Queue(QUEUE, connection=connection, serializer=SERIALIZER)
        ResearchWorker(
            [queue], connection=connection, serializer=SERIALIZER, maintenance_interval=DEAD_AFTER
        ).work(burst=burst, logging_level="WARNING")


class ResearchWorker(SimpleWorker):
    """Works in its own process, so that caches stay; a thread sends the heartbeats."""

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        return DEAD_AFTER

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        done = threading.Event()
        beating = threading.Thread(target=self._beat, args=(job, execution, done), daemon=True)
        beating.start()
        try:
            return bool(super().perform_job(job, queue, execution))
        finally:
            done.set()
            beating.join()

    def _beat(self, job: Job, execution: Any, done: threading.Event) -> None:
        while not done.wait(BEAT):
            self.maintain_heartbeats(job, execution)


def do_task(text: str) -> str:
    """Do one task, from JSON to JSON.

    Raises UserError if the bars or the code here are not those the task was made with.
    """
    task = decode_task(text)
    trials = _trials(task)
    _refuse_other_code(trials, task)
    return encode(trials.do(task))


def _trials(task: Task) -> Trials:
    found = _trials_on(task.inputs.bars_alone)
    if found.market.digest != task.bars_digest:
        _trials_on.cache_clear()
        found = _trials_on(task.inputs.bars_alone)
    if found.market.digest != task.bars_digest:
        raise UserError(
            f"The bars {task.inputs.bars} of this worker are not those the run was begun with."
        )
    return found


@lru_cache(maxsize=MARKETS)
def _trials_on(bars: Inputs) -> Trials:
    return Trials(open_dataset(bars, os.environ))


def _refuse_other_code(trials: Trials, task: Task) -> None:
    """Once more with strategies loaded anew: the user may have edited one between two runs."""
    if not _is_same_code(trials, task):
        trials.forget_strategies()
        if not _is_same_code(trials, task):
            names = ", ".join(task.inputs.names)
            raise UserError(
                f"This worker's code or its strategy {names} is not that of the run; update it."
            )


def _is_same_code(trials: Trials, task: Task) -> bool:
    return code_of(_code(), trials.shelf.select(task.inputs)) == task.code


@lru_cache(maxsize=1)
def _code() -> str:
    return code_digest()
