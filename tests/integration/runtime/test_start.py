"""A service's process when what it needs is not there.

It waits and says so, or ends with one sentence.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.console.stack.local_stack import free_port
from services.console.stack.readiness import local_url, reasons
from shared.runtime.provisioning.secret_files import init_secrets
from tests.servers import redis_server

ROOT = Path(__file__).resolve().parents[3]


def environment(folder: Path, redis_url: str, port: int) -> dict[str, str]:
    init_secrets(folder / "secrets")
    secrets = folder / "secrets" / "risk-gate"
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "KOBE_REDIS_URL": redis_url,
        "KOBE_STATE_DIR": str(folder / "state"),
        "KOBE_LOG_DIR": str(folder / "logs"),
        "KOBE_KILL_FILE": str(folder / "KILL_SWITCH"),
        "KOBE_SIGNING_KEY_FILE": str(secrets / "signing.key"),
        "KOBE_PUBLIC_KEYS_FILE": str(secrets / "public_keys.json"),
        "KOBE_HTTP_PORT": str(port),
    }


@contextmanager
def gate(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "services.risk_gate"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=env, stdout=pipe, stderr=pipe, text=True, cwd=ROOT
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_without_redis_a_service_waits_alive_and_unready_and_ends_when_told(tmp_path: Path) -> None:
    port = free_port()
    with gate(environment(tmp_path, f"redis://127.0.0.1:{free_port()}", port)) as process:
        until = time.monotonic() + 30
        while not any("Redis does not answer" in reason for reason in reasons(local_url(port))):
            assert time.monotonic() < until, reasons(local_url(port))
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        assert process.wait(15) == 0


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"appendonly": "no"}, "appendonly must be yes"),
        ({"maxmemory-policy": "allkeys-lru"}, "maxmemory-policy must be noeviction"),
    ],
)
def test_a_redis_that_could_lose_orders_is_refused_in_one_sentence(
    tmp_path: Path, config: dict[str, str], words: str
) -> None:
    with (
        redis_server(config=config) as server,
        gate(environment(tmp_path, server.url, free_port())) as process,
    ):
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 3
    assert words in errors
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with redis_server() as server, gate(environment(tmp_path, server.url, server.port)) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {server.port} on 127.0.0.1 cannot be used" in errors
