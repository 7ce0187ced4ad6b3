"""A fetch's units as jobs.

Any worker that reaches the research Redis and the archive's disk may do them.

Called by `kobe data fetch --queue` and `kobe data worker`. A job's id is its unit's, so asking
again finds what is done, doing or waiting. It carries no orders and nothing of the trading stack.
"""

import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import redis
from rq import Queue, Retry
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.worker import SimpleWorker

from services.data_fetcher.backfill.fetch import FetchSource, Report
from services.data_fetcher.backfill.plan import FetchRequest, Unit
from services.data_fetcher.backfill.progress import Progress
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.vendor_place import redis_budget, vendor_place
from services.data_fetcher.vendor_registry import actions_vendor, bars_vendor
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.runtime.bus.redis_connection import Address
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.config.environment import read_environment
from shared.runtime.config.settings import load_settings

QUEUE = "data"
DO = "services.data_fetcher.backfill.queue_jobs.do"
SERIALIZER = "json"
LONGEST = 1_800
"""Seconds after which a job is given up.

A unit has some hundred calls at most, minutes apart on free plans.
"""
KEPT = 3_600
RETRIES = 2
"""Times a job is begun again after its worker died or the vendor failed."""
POLL = 0.5
BEAT, DEAD_AFTER = 5.0, 30
"""Seconds between heartbeats, and without one until a worker's job is given to another."""
UNAVAILABLE = 69
UNFINISHED = {JobStatus.QUEUED, JobStatus.STARTED, JobStatus.DEFERRED, JobStatus.SCHEDULED}


class UnitJob(msgspec.Struct, frozen=True, kw_only=True):
    """One unit, whom to ask for it on which basis, and where to stage it."""

    vendor: str
    basis: Basis
    archive: str
    key: str
    unit: Unit

    @property
    def job_id(self) -> str:
        return f"fetch-{hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:32]}"


def stage_by_workers(
    units: Sequence[Unit],
    staging: Staging,
    request: FetchRequest,
    *,
    environ: Mapping[str, str],
    clock: Clock,
    report: Report,
) -> None:
    """Have workers stage every unit that is not staged yet.

    Raises UserError if a job fails for good.
    """
    missing = [unit for unit in units if not staging.is_staged(unit)]
    jobs = [
        UnitJob(
            vendor=request.vendor,
            basis=request.basis,
            archive=str(staging.archive),
            key=staging.key,
            unit=unit,
        )
        for unit in missing
    ]
    connection = redis.Redis.from_url(read_environment(environ).research_redis_url)
    queue = Queue(QUEUE, connection=connection, serializer=SERIALIZER)
    resumed, begun, bars = len(units) - len(jobs), clock.monotonic(), 0
    open_jobs = {job.job_id: job for job in jobs}
    with _reachable():
        _enqueue(queue, open_jobs)
        while open_jobs:
            for job_id, fetched in _harvest(queue, list(open_jobs)):
                del open_jobs[job_id]
                bars += fetched
            seconds = clock.monotonic() - begun
            done = len(units) - len(open_jobs)
            report(
                Progress(done=done, total=len(units), resumed=resumed, bars=bars, seconds=seconds)
            )
            if open_jobs:
                clock.sleep(POLL)
                StartedJobRegistry(queue=queue).cleanup()


def work(url: str, *, burst: bool = False) -> None:
    """Do jobs until told to stop by a signal; with `burst` until the queue is empty."""
    connection = redis.Redis.from_url(url)
    with _reachable():
        connection.ping()
        queue = Queue(QUEUE, connection=connection, serializer=SERIALIZER)
        _Worker(
            [queue], connection=connection, serializer=SERIALIZER, maintenance_interval=DEAD_AFTER
        ).work(burst=burst, logging_level="WARNING")


def do(text: str) -> int:
    """One job; the number of bars staged."""
    job = msgspec.json.decode(text, type=UnitJob)
    staging = Staging(Path(job.archive), job.key)
    if staging.is_staged(job.unit):
        return 0
    return _source(job.vendor, job.basis).fetch(job.unit, staging)


@lru_cache(maxsize=4)
def _source(vendor: str, basis: Basis) -> FetchSource:
    """Workers count their requests together, in the Redis that gives them their jobs."""
    settings = load_settings({"KOBE_MODE": "paper", **os.environ})
    budget = redis_budget(Address.parse(settings.environment.research_redis_url))
    place = replace(vendor_place(settings, clock=SystemClock(), budget=budget), basis=basis)
    return FetchSource(bars_vendor(vendor, place), actions_vendor(vendor, place))


def _enqueue(queue: Queue, jobs: Mapping[str, UnitJob]) -> None:
    """Those that are not there, and those that failed earlier, anew."""
    found = Job.fetch_many(list(jobs), connection=queue.connection, serializer=SERIALIZER)
    waiting = {job.id for job in found if job and job.get_status(refresh=False) in UNFINISHED}
    for job in found:
        if job and job.id not in waiting:
            job.delete()
    for job_id, unit_job in jobs.items():
        if job_id not in waiting:
            queue.enqueue(
                DO,
                msgspec.json.encode(unit_job).decode(),
                job_id=job_id,
                job_timeout=LONGEST,
                result_ttl=KEPT,
                failure_ttl=KEPT,
                retry=Retry(max=RETRIES),
                description=f"{type(unit_job.unit).__name__} from {unit_job.vendor}",
            )


def _harvest(queue: Queue, names: list[str]) -> Iterator[tuple[str, int]]:
    found = Job.fetch_many(names, connection=queue.connection, serializer=SERIALIZER)
    for name, job in zip(names, found, strict=True):
        if job is None:
            raise UserError(f"The job {name} is gone from the queue; start the same command again.")
        status = job.get_status(refresh=False)
        if status == JobStatus.FINISHED:
            yield name, int(job.return_value() or 0)
        elif status not in UNFINISHED:
            raise UserError(_last_words(job))


def _last_words(job: Job) -> str:
    """The sentence of the exception the job ended with."""
    result = job.latest_result()
    lines = ((result.exc_string if result else None) or "its worker died each time").strip()
    sentence = lines.splitlines()[-1].partition(": ")
    return f"{sentence[2] or sentence[0]} (a worker, after {RETRIES + 1} tries)"


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise UserError(
            f"The research Redis does not answer ({error}); begin it with `docker compose "
            f"--profile research up`, "
            "or name another in KOBE_RESEARCH_REDIS_URL.",
            exit_code=UNAVAILABLE,
        ) from error


class _Worker(SimpleWorker):
    """Works in its own process.

    A thread keeps its heart beating, so that the dead are told from the slow.
    """

    def get_heartbeat_ttl(self, _job: Job, _working_time: float = 0.0) -> int:
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
