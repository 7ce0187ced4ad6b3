"""The compose stack of a fresh checkout.

Brought up once for all end-to-end tests (needs a Docker engine).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.requirements import Requirement, require

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "kobe-e2e"
SERVICES = (
    "scheduler",
    "data-fetcher",
    "signal-engine",
    "risk-gate",
    "executor",
    "auditor",
    "sim-broker",
)
WITH_US = ("redis", *SERVICES, "witness", "prometheus", "alertmanager")
PORTS = {
    "KOBE_REDIS_PORT": "26379",
    "KOBE_PROMETHEUS_PORT": "29090",
    "KOBE_ALERTMANAGER_PORT": "29093",
    "KOBE_GRAFANA_PORT": "23000",
}


def docker_answers() -> bool:
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@dataclass(frozen=True)
class Stack:
    def compose(self, *arguments: str, timeout: float = 300, check: bool = True) -> str:
        import os

        done = subprocess.run(
            ["docker", "compose", "-p", PROJECT, *arguments],
            cwd=ROOT,
            env={**os.environ, **PORTS},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(
                f"docker compose {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done.stdout

    def kobe(self, *arguments: str) -> Any:
        """A `kobe … --json` command inside the stack.

        Its exit code may say that all is not well.
        """
        command = ("run", "--rm", "-T", "kobe", *arguments, "--json")
        return json.loads(self.compose(*command, check=False).strip().splitlines()[-1])

    def redis(self, user: str, *command: str) -> str:
        secret = f"redis://{user}:{user}@127.0.0.1:6379"
        return self.compose(
            "exec", "-T", "redis", "redis-cli", "-u", secret, "--no-auth-warning", *command
        ).strip()

    def health(self) -> dict[str, str]:
        lines = self.compose("ps", "--format", "json").strip().splitlines()
        rows = [row for line in lines for row in _rows(json.loads(line))]
        return {row["Service"]: row.get("Health") or row["State"] for row in rows}

    def python(self, service: str, code: str) -> str:
        return self.compose("exec", "-T", service, "python", "-c", code).strip()


def _rows(parsed: Any) -> list[dict[str, Any]]:
    return parsed if isinstance(parsed, list) else [parsed]


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(1)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    require(Requirement.DOCKER, found=docker_answers())
    stack = Stack()
    stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")
    try:
        stack.compose("build", timeout=1500)
        stack.compose("up", "--detach", *WITH_US, timeout=600)
        yield stack
    finally:
        print(stack.compose("logs", "--tail", "30", check=False))
        stack.compose(
            "--profile",
            "tools",
            "down",
            "--volumes",
            "--remove-orphans",
            "--timeout",
            "10",
            check=False,
        )
