"""Paper from keys alone, in containers: three sessions traded with a recorded Alpaca."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.clock import SystemClock
from shared.runtime.recorded_time import NAME, StretchedClock
from tests.e2e.conftest import ROOT, docker_answers
from tests.recorded.alpaca import KEY_ID, SECRET
from tests.recorded.paper_days import DAYS, stretches
from tests.requirements import Requirement, require

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(1800)]

PROJECT = "kobe-e2e-paper"
FILES = ("docker-compose.yml", "compose/paper.yml", "tests/e2e/paper-recorded.yml")
SERVICES = (
    *("redis", "recorded-alpaca", "data-fetcher", "signal-engine", "risk-gate"),
    *("executor", "auditor", "scheduler"),
)
LEAD_SECONDS = 150.0
"""Business evening for as long as eight containers take to become healthy on two cores."""


@dataclass(frozen=True)
class PaperStack:
    clock: StretchedClock
    keys: Path

    def compose(self, *arguments: str, timeout: float = 300, check: bool = True) -> str:
        files = [part for file in FILES for part in ("-f", file)]
        done = subprocess.run(
            ["docker", "compose", "-p", PROJECT, *files, *arguments],
            cwd=ROOT,
            env={
                **os.environ,
                "KOBE_REDIS_PORT": "26479",
                "KOBE_KEYS_FILE": str(self.keys),
                NAME: self.clock.text(),
            },
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"docker compose {' '.join(arguments)}: {done.stderr[-3000:]}")
        return done.stdout

    def kobe(self, *arguments: str) -> Any:
        """A `kobe … --json` command inside the stack."""
        text = self.compose("run", "--rm", "-T", "kobe", *arguments, "--json")
        return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaperStack]:
    if not docker_answers():
        require(Requirement.DOCKER)
    keys = tmp_path_factory.mktemp("keys") / "keys.env"
    keys.write_text(f"ALPACA_API_KEY_ID={KEY_ID}\nALPACA_API_SECRET_KEY={SECRET}\n")
    keys.chmod(0o644)
    build = PaperStack(stretches(DAYS, lead_seconds=LEAD_SECONDS), keys)
    build.compose("build", timeout=1500)
    stack = PaperStack(stretches(DAYS, lead_seconds=LEAD_SECONDS), keys)
    try:
        stack.compose("up", "--detach", *SERVICES, timeout=600)
        yield stack
    finally:
        print(stack.compose("logs", "--tail", "30", check=False))
        stack.compose("--profile", "tools", "down", "--volumes", "--timeout", "10", check=False)


def test_three_sessions_are_traded_from_keys_alone(stack: PaperStack) -> None:
    end = stack.clock.begun.timestamp() + sum(each.seconds for each in stack.clock.stretches)
    time.sleep(max(0.0, end - SystemClock().now().timestamp()))
    status = stack.kobe("status")
    assert not status["halted"], status
    assert status["dead_letters"] == 0
    orders = stack.kobe("orders", "--recent", "200")["orders"]
    sessions = {order["session"] for order in orders if "session" in order}
    assert sum(order["state"] == "FILLED" for order in orders) >= 3
    assert not sessions or sessions <= {str(day) for day in DAYS}
    positions = stack.kobe("positions")["positions"]
    assert positions
    assert all(position["protected"] for position in positions)
    # An intact chain: but no witness runs here (13), and the freshness of its end is judged by the
    # wall clock, while the recorded one stands in 2024 (11).
    verified = stack.compose("run", "--rm", "-T", "kobe", "audit", "verify", "--json", check=False)
    assert json.loads(verified.strip().splitlines()[-1])["exit_code"] in {11, 13}
