"""Runs a walk-forward's tasks as queue jobs that any worker with the bars may do.

Called by `kobe walk-forward --queue`. A job's id is its task's key, so asking again finds what is
done, running or waiting. Results equal those of this machine, bit for bit. It carries no orders and
nothing of the trading stack.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import redis
from rq import Queue, Retry
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.worker import SimpleWorker

from services.research.walk_forward.tasks import Result, Task, decode_result, encode, task_key
from services.research.walk_forward.trials import ReportSteps
from shared.domain.errors import UserError

QUEUE = "research"
DO = "services.research.walk_forward.queue_worker.do_task"
SERIALIZER = "json"
LONGEST = 3_600
"""Seconds after which a job is abandoned; a task of 500 per grid never takes an hour."""
KEPT, KEPT_FAILED = 7 * 86_400, 86_400
"""Seconds results stay: a week to resume a run, a day to look at a failure."""
RETRIES = 3
"""A job starts again so often after its worker died; a job that kills workers must end."""
POLL, SLOWEST_POLL, CLEAN_EVERY = 0.01, 0.1, 2.0
"""Seconds: small jobs end within milliseconds, and a dead worker is noticed at the next clean."""
LOOKED_AT = 100
"""Unfinished jobs asked about at a time; a queue is served in order."""
UNFINISHED = {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.DEFERRED, JobStatus.SCHEDULED}


class QueueRunner:
    """Enqueues what is not there yet, waits, and lets dead workers' jobs be taken over."""

    def __init__(
        self,
        url: str,
        advance: ReportSteps = lambda _steps: None,
        say: Callable[[str], None] = print,
    ) -> None:
        self._connection = connect(url)
        self.queue = Queue(QUEUE, connection=self._connection, serializer=SERIALIZER)
        self._advance = advance
        self._say = say

    def __call__(self, tasks: Sequence[Task]) -> list[Result]:
        with explain_unreachable():
            by_key = {task_key(task): task for task in tasks}
            self.enqueue(by_key)
            if not SimpleWorker.count(connection=self._connection, queue=self.queue):
                self._say("No worker is listening yet; start one with `kobe worker`.")
            texts = dict(self._results(by_key))
        return [decode_result(texts[task_key(task)], task) for task in tasks]

    def enqueue(self, by_key: dict[str, Task]) -> None:
        """Put the tasks that are neither done, running nor waiting on the queue."""
        there = {job.id: job for job in self._fetch(list(by_key))}
        dead = [
            job
            for job in there.values()
            if job.get_status(refresh=False) not in {*UNFINISHED, JobStatus.FINISHED}
        ]
        for job in dead:
            job.delete()
        missing = by_key.keys() - (there.keys() - {job.id for job in dead})
        jobs = [
            Queue.prepare_data(
                DO,
                args=(encode(task),),
                timeout=LONGEST,
                result_ttl=KEPT,
                failure_ttl=KEPT_FAILED,
                job_id=name,
                description=f"{task.inputs.names[0]}: {type(task).__name__.lower()}",
                retry=Retry(max=RETRIES),
            )
            for name, task in by_key.items()
            if name in missing
        ]
        if jobs:
            self.queue.enqueue_many(jobs)

    def _results(self, by_key: dict[str, Task]) -> Iterator[tuple[str, str]]:
        """(key, result) of every job as it is done."""
        open_ones, pause, cleaned = list(by_key), POLL, time.monotonic()
        while open_ones:
            ended = self._names_of_ended(open_ones[:LOOKED_AT])
            done = {job.id: _job_result(job) for job in self._fetch(ended)}
            if len(done) < len(ended):  # the server has lost some
                self.enqueue({name: by_key[name] for name in ended if name not in done})
            for name, text in done.items():
                self._advance(by_key[name].steps)
                yield name, text
            open_ones = [name for name in open_ones if name not in done]
            pause = POLL if done else min(pause * 1.5, SLOWEST_POLL)
            if open_ones:
                time.sleep(pause)
            if time.monotonic() - cleaned > CLEAN_EVERY:
                StartedJobRegistry(queue=self.queue).cleanup()
                cleaned = time.monotonic()

    def _names_of_ended(self, names: Sequence[str]) -> list[str]:
        """Those that are done or given up. Only states are asked for: jobs carry their tasks."""
        with self._connection.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.hget(Job.key_for(name), "status")
            states = pipeline.execute()
        unfinished = {status.value.encode() for status in UNFINISHED}
        return [name for name, state in zip(names, states, strict=True) if state not in unfinished]

    def _fetch(self, names: Sequence[str]) -> list[Job]:
        found = Job.fetch_many(names, connection=self._connection, serializer=SERIALIZER)
        return [job for job in found if job is not None]


def connect(url: str) -> redis.Redis:
    """A client. Raises UserError if `url` is not a Redis address."""
    try:
        return redis.Redis.from_url(url)
    except ValueError as error:
        raise UserError(
            f"KOBE_RESEARCH_REDIS_URL {url!r} is not an address: {error}.", exit_code=64
        ) from error


@contextmanager
def explain_unreachable() -> Iterator[None]:
    """Raises UserError if Redis does not answer."""
    try:
        yield
    except redis.RedisError as error:
        raise UserError(
            f"The research Redis does not answer ({error}); start it with "
            "`docker compose --profile research up`, or name another in KOBE_RESEARCH_REDIS_URL.",
            exit_code=69,
        ) from error


def _job_result(job: Job) -> str:
    if job.get_status(refresh=False) == JobStatus.FINISHED:
        return str(job.return_value())
    found = job.latest_result()
    lines = ((found.exc_string if found else None) or "").strip().splitlines() or [
        "its worker died each time"
    ]
    raise UserError(f"A job failed after {RETRIES + 1} attempts, {job.description}: {lines[-1]}")
