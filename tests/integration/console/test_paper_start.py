"""`kobe paper start` from two keys.

Bars fetched, first scan told, a day traded with a recorded Alpaca, stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.runtime.clock import SystemClock
from shared.runtime.recorded_time import NAME, StretchedClock
from tests.recorded.alpaca import KEY_ID, SECRET
from tests.recorded.paper_days import DAYS, stretches
from tests.servers import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[3]
LEAD_SECONDS = 75.0
"""Business evening for as long as the stack takes to start on a busy machine."""


@contextmanager
def recorded_alpaca(env: dict[str, str], port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.recorded.paper", "--port", str(port)]
    process = subprocess.Popen(command, env=env)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def shell(clock: StretchedClock, port: int) -> dict[str, str]:
    """What a person has: the keys; and what a test needs besides: where and when."""
    here = f"127.0.0.1:{port}"
    kept = {name: text for name, text in os.environ.items() if not name.startswith("KOBE_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "ALPACA_API_KEY_ID": KEY_ID,
        "ALPACA_API_SECRET_KEY": SECRET,
        "KOBE_BROKER_URL": f"http://{here}",
        "KOBE_BROKER_DATA_URL": f"http://{here}",
        "KOBE_BROKER_STREAM_URL": f"ws://{here}/stream",
        "KOBE_TEST": "1",
        NAME: clock.text(),
    }


def test_two_keys_trade_a_day_on_paper(tmp_path: Path) -> None:
    clock = stretches(DAYS[:1], lead_seconds=LEAD_SECONDS)
    port = free_port()
    env = shell(clock, port)

    def kobe(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "services.console.cli.app", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=180, check=False
        )

    with recorded_alpaca(env, port):
        started = kobe("paper", "start")
        try:
            assert started.returncode == 0, started.stderr
            assert "Next scan" in started.stdout
            assert "New York, in" in started.stdout
            assert "Fetching 60 symbols from multi" in started.stderr
            assert kobe("paper", "start").returncode == 1
            end = clock.begun.timestamp() + sum(each.seconds for each in clock.stretches)
            time.sleep(max(0.0, end - SystemClock().now().timestamp()))
            status = json.loads(kobe("status", "--json").stdout)
            positions = json.loads(kobe("positions", "--json").stdout)["positions"]
        finally:
            stopped = kobe("paper", "stop")
    assert stopped.returncode == 0, stopped.stderr
    assert not status["halted"]
    assert positions
    assert all(position["protected"] for position in positions)
    assert kobe("paper", "status").returncode == 1


def test_without_keys_it_is_one_sentence(tmp_path: Path) -> None:
    env = {name: text for name, text in os.environ.items() if not name.startswith(("KOBE_", "ALP"))}
    command = [sys.executable, "-m", "services.console.cli.app", "paper", "start"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY missing; put them into .env" in done.stderr
    assert "Traceback" not in done.stderr
