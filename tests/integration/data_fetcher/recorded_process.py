"""A recorded vendor in a process of its own, and `kobe data fetch` against it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared.runtime.config.settings import DEFAULT_FILE, read_document, with_changes
from tests.recorded.alpaca import KEY_ID, SECRET
from tests.recorded.massive import KEY

KOBE = (sys.executable, "-m", "services.console.cli.app")


@contextmanager
def recorded_process(vendor: str, *arguments: str) -> Iterator[str]:
    """Its URL."""
    command = [sys.executable, "-m", "tests.recorded", vendor, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().strip()
            assert url, "the recorded vendor did not start"
            yield url
        finally:
            process.kill()
            process.wait()


def environ(url: str, archive: Path) -> dict[str, str]:
    """What a person has in the shell.

    Keys, the vendors' addresses, the archive, plans without limits.
    """
    limits = {f"vendors.requests_per_minute.{name}": 0 for name in ("massive", "alpaca")}
    config = archive.parent / "kobe.json"
    config.write_bytes(msgspec.json.encode(with_changes(read_document(DEFAULT_FILE), limits)))
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "HOME") if name in os.environ}
    return {
        **kept,
        "KOBE_MODE": "paper",
        "KOBE_CONFIG": str(config),
        "KOBE_ARCHIVE_DIR": str(archive),
        "KOBE_MASSIVE_URL": url,
        "KOBE_BROKER_URL": url,
        "KOBE_BROKER_DATA_URL": url,
        "KOBE_REDIS_URL": "redis://127.0.0.1:9",
        "MASSIVE_API_KEY": KEY,
        "ALPACA_API_KEY_ID": KEY_ID,
        "ALPACA_API_SECRET_KEY": SECRET,
    }


def kobe(*arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KOBE, *arguments], env=dict(env), capture_output=True, text=True, timeout=120, check=False
    )
