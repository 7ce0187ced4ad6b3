"""Rows 30 and 36: after a kill nothing that opens a position reaches the broker, in 250 ms.

A whole stack replays sessions as fast as it can; the simulated broker's own record of requests is
the truth. `KOBE_FULL=1` runs the printed number of trials.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from services.console.kill_switch.resumption import Resumer
from services.console.stack.client import StackClient
from services.console.stack.local_stack import SIM_BROKER, EmbeddedStack
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import SystemClock
from shared.schemas.streams import KILL_CHANNEL

TRIALS = 200 if os.environ.get("KOBE_FULL") == "1" else 3
BOUND = dt.timedelta(milliseconds=250)
POLL = dt.timedelta(milliseconds=200)
WATCH_SECONDS = 1.0


@dataclass
class Replay:
    stack: EmbeddedStack
    client: StackClient

    def entries(self) -> list[tuple[dt.datetime, str]]:
        """When each order that opens a position was received: longs alone, so buys."""
        url = f"http://127.0.0.1:{self.stack.ports[SIM_BROKER]}/sim/requests"
        records: list[dict[str, Any]] = requests.get(url, timeout=10).json()
        return [
            (dt.datetime.fromisoformat(each["at"]), each["body"])
            for each in records
            if each["method"] == "POST"
            and each["path"] == "/v2/orders"
            and json.loads(each["body"])["side"] == "buy"
        ]

    def await_entries(self, more: int = 1) -> None:
        before, until = len(self.entries()), time.monotonic() + 60
        while len(self.entries()) < before + more:
            assert time.monotonic() < until, "the replay opens nothing"
            time.sleep(0.02)

    def resume(self) -> None:
        self.stack.kill_file.unlink(missing_ok=True)
        resumer, until = Resumer(self.client), time.monotonic() + 10
        while set(resumer.clear(resumer.standing().last_id, by="t", why="t").running) < {
            "executor",
            "risk-gate",
        }:
            assert time.monotonic() < until, "it does not resume"


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    folder = tmp_path_factory.mktemp("kill")
    changes = {"sim.timetable.sessions": 3_000, "sim.timetable.pace_seconds": 0.0}
    with EmbeddedStack(folder, changes=changes, kill_file=folder / "KILL_SWITCH") as stack:
        client = StackClient(stack.address)
        yield Replay(stack, client)
        client.redis.close()


def publish(replay: Replay) -> dt.timedelta:
    where = Address.parse(replay.stack.address.redis_url, username="kill", password="any")
    with closing(RedisConnection(where)) as killer:
        killer.one("PUBLISH", KILL_CHANNEL, "row 30")
    return BOUND


def touch(replay: Replay) -> dt.timedelta:
    replay.stack.kill_file.touch()
    return POLL + BOUND


@pytest.mark.slow
@pytest.mark.parametrize("kill", [publish, touch])
def test_nothing_opens_a_position_after_a_kill(
    replay: Replay, kill: Callable[[Replay], dt.timedelta]
) -> None:
    late: list[dt.timedelta] = []
    for _ in range(TRIALS):
        replay.await_entries()
        bound = kill(replay)
        killed_at = SystemClock().now()
        time.sleep(WATCH_SECONDS)
        late += [at - killed_at for at, _ in replay.entries() if at > killed_at + bound]
        replay.resume()
    assert late == []
