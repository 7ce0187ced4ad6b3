"""The research queue with real workers and a real Redis.

The results are those of this machine, whoever dies.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rq.job import Job

from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.walk_forward import queue_worker as workers
from services.research.walk_forward.files import assess_walks, files
from services.research.walk_forward.plan import Plan, WalkForward, plan, score_tasks
from services.research.walk_forward.queue_runner import SERIALIZER, QueueRunner, connect
from services.research.walk_forward.tasks import encode, task_key
from services.research.walk_forward.thread_runner import ThreadRunner
from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import walk
from shared.domain.errors import UserError
from shared.runtime.config.settings import load_settings
from tests.oracles.made_bars import cent_walks
from tests.servers import Server, redis_server
from tests.unit.research.walks import GRID, csv_bars

ROOT = Path(__file__).resolve().parents[3]
HELD_UP = """
'''Donchian, but the first worker that asks writes its number down and never answers.'''
import os, time
from pathlib import Path
from shared.strategies import donchian
from shared.strategies.donchian import Params, warmup

NAME = "held_up"
MARK = Path(__file__).with_name("begun")


def signals(panel, params):
    if "KOBE_RESEARCH_REDIS_URL" not in os.environ:
        return donchian.signals(panel, params)
    try:
        with MARK.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return donchian.signals(panel, params)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with redis_server() as running:
        yield running


@contextmanager
def working(url: str, folder: Path, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    environment = {**os.environ, "KOBE_RESEARCH_REDIS_URL": url, "PYTHONPATH": str(ROOT)}
    begun = []
    try:
        for number in range(count):
            with (folder / f"worker{number}.log").open("wb") as log:
                command = [sys.executable, "-m", "services.console.cli.app", "worker"]
                begun.append(
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
                )
        yield begun
    finally:
        for process in begun:
            with suppress(ProcessLookupError):
                process.terminate()
        for process in begun:
            process.wait(20)


def planned(folder: Path, name: str, **facts: Any) -> Plan:
    bars = csv_bars(folder / "bars.csv", cent_walks(3, symbols=6, bars=200))
    own = "" if name == "donchian" else str(folder / "own")
    strategies = (StrategyInputs(name=name, parameters={"min_price": 1.0}),)
    inputs = Inputs(strategies=strategies, bars=str(bars), folder=own, **facts)
    wanted = WalkForward(
        inputs=inputs, train=60, test=20, anchored=False, objective="sharpe", grids={name: GRID}
    )
    return plan(wanted, open_dataset(inputs, {}), load_settings({}))


def waited_for(file: Path, seconds: float = 45) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if file.exists() and file.read_text():
            return int(file.read_text())
        time.sleep(0.05)
    raise AssertionError(f"{file} did not appear")


@pytest.mark.slow
def test_two_workers_one_killed_on_the_way_give_what_this_machine_gives(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "held_up.py").write_text(HELD_UP)
    made = planned(tmp_path, "held_up")
    done: list[Any] = []
    steps: list[int] = []

    def run_queued() -> None:
        done.append(walk(made, QueueRunner(server.url, steps.append, lambda _: None)))

    with working(server.url, tmp_path, 2) as processes:
        waiting = threading.Thread(target=run_queued)
        waiting.start()
        unlucky = waited_for(tmp_path / "own" / "begun")
        assert unlucky in [process.pid for process in processes]
        os.kill(unlucky, signal.SIGKILL)
        waiting.join(60)
    assert done, (tmp_path / "worker0.log").read_text() + (tmp_path / "worker1.log").read_text()
    here = walk(made, ThreadRunner(Trials(made.market), tmp_path / "units"))
    assert files(assess_walks(made, done[0])) == files(assess_walks(made, here))
    assert sum(steps) == made.steps


@pytest.mark.slow
def test_what_is_done_is_not_done_again(server: Server, tmp_path: Path) -> None:
    made = planned(tmp_path, "donchian")
    with working(server.url, tmp_path, 1):
        first = walk(made, QueueRunner(server.url, say=lambda _: None))
    said: list[str] = []
    again = walk(made, QueueRunner(server.url, say=said.append))
    assert [each.returns.tolist() for each in again] == [each.returns.tolist() for each in first]
    assert said
    assert "No worker is listening" in said[0]


def test_a_job_is_json_and_is_known_by_its_task(server: Server, tmp_path: Path) -> None:
    made = planned(tmp_path, "donchian", cash=Decimal(5000))
    task = score_tasks(made, made.searches[0])[0]
    runner = QueueRunner(server.url, say=lambda _: None)
    for _ in range(2):
        runner.enqueue({task_key(task): task})
    job = Job.fetch(task_key(task), connection=connect(server.url), serializer=SERIALIZER)
    assert job.args == [encode(task)]
    assert runner.queue.job_ids.count(job.id) == 1


def test_a_worker_refuses_other_bars_and_other_code(tmp_path: Path) -> None:
    made = planned(tmp_path, "donchian")
    task = score_tasks(made, made.searches[0])[0]
    assert workers.do_task(encode(task))
    with pytest.raises(UserError, match="are not those the run was begun with"):
        workers.do_task(encode(msgspec.structs.replace(task, bars_digest="others")))
    with pytest.raises(UserError, match="not that of the run"):
        workers.do_task(encode(msgspec.structs.replace(task, code="others")))


@pytest.mark.slow
def test_jobs_that_the_server_has_lost_are_queued_again(server: Server, tmp_path: Path) -> None:
    made = planned(tmp_path, "donchian", cash=Decimal(7000))
    connection = connect(server.url)
    done: list[Any] = []
    waiting = threading.Thread(
        target=lambda: done.append(walk(made, QueueRunner(server.url, say=lambda _: None)))
    )
    waiting.start()
    task = score_tasks(made, made.searches[0])[0]
    while not connection.exists(Job.key_for(task_key(task))):
        time.sleep(0.01)
    connection.flushall()
    with working(server.url, tmp_path, 1):
        waiting.join(60)
    here = walk(made, ThreadRunner(Trials(made.market), tmp_path / "units"))
    assert files(assess_walks(made, done[0])) == files(assess_walks(made, here))
