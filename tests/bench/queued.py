"""The walk-forward through the queue: a small job beside the local run, a big grid with one worker and with two.

`python -m tests.bench.queued BARS RUNS` prints one JSON object. Started by research.py; needs
redis-server.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from services.research.data.dataset import Dataset, open_dataset
from services.research.data.inputs import Inputs
from services.research.walk_forward.plan import Plan, WalkForward, plan
from services.research.walk_forward.queue_runner import QUEUE, QueueRunner, connect
from services.research.walk_forward.thread_runner import ThreadRunner
from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import Runner, walk
from shared.runtime.config.settings import load_settings
from tests.bench.product import NAMES, inputs
from tests.servers import redis_server

BIG = {
    "donchian": {
        "lookback": tuple(range(20, 68, 4)),
        "stop_mult": (1.5, 2.0, 2.5, 3.0),
        "r_multiple": (2.0, 3.0),
    }
}


@contextmanager
def workers(url: str, count: int) -> Iterator[None]:
    """Warm ones: kernels compiled, registered at the queue."""
    command = [sys.executable, "-m", "services.console.cli.app", "worker"]
    environment = {**os.environ, "KOBE_RESEARCH_REDIS_URL": url}
    begun = [subprocess.Popen(command, env=environment) for _ in range(count)]
    try:
        while connect(url).scard(f"rq:workers:{QUEUE}") < count:
            time.sleep(0.1)
        yield
    finally:
        for process in begun:
            process.terminate()
        for process in begun:
            process.wait(30)


def planned(market: Dataset, asked: Inputs, cash: int, grids: Any) -> Plan:
    """Other cash, other keys: nothing is found done already."""
    settings = load_settings({})
    strategies = tuple(each for each in asked.strategies if each.name in grids)
    own = msgspec.structs.replace(asked, cash=Decimal(cash), strategies=strategies)
    wanted = WalkForward(
        inputs=own, train=252, test=63, anchored=False, objective="sharpe", grids=grids
    )
    return plan(wanted, market, settings)


def seconds(made: Plan, runner: Runner) -> float:
    begun = time.perf_counter()
    walk(made, runner)
    return time.perf_counter() - begun


def main(bars: str, runs: int) -> None:
    asked = inputs(bars)
    market = open_dataset(asked, os.environ)
    table = load_settings({}).config.research.grids
    small = {name: table[name] for name in NAMES}
    told: dict[str, Any] = {"sets": planned(market, asked, 1, BIG).trials}
    # as in the compose file: what is lost with a server is made again
    with (
        redis_server(config={"appendonly": "no"}) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        fresh = iter(range(100_000, 200_000))

        def queued(grids: Any) -> float:
            return seconds(
                planned(market, asked, next(fresh), grids),
                QueueRunner(server.url, say=lambda _: None),
            )

        def local(grids: Any) -> float:
            place = next(fresh)
            runner = ThreadRunner(Trials(market), Path(folder) / str(place))
            return seconds(planned(market, asked, place, grids), runner)

        with workers(server.url, 2):
            queued(small)
            local(small)
            pairs = [(local(small), queued(small)) for _ in range(runs)]
            told["local"] = statistics.median(pair[0] for pair in pairs)
            told["queued"] = statistics.median(pair[1] for pair in pairs)
            told["two"] = queued(BIG)
        with workers(server.url, 1):
            queued(small)
            told["one"] = queued(BIG)
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
