"""The one-shot job for secrets reads the user's keys as root and writes as the services' user."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SERVICES_USER = 10001


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_keys_that_only_their_owner_reads_reach_the_services(open_folder: Path) -> None:
    keys = open_folder / ".env"
    keys.write_text("ALPACA_API_KEY_ID=PKMADEUP\nALPACA_API_SECRET_KEY=made-up\n")
    keys.chmod(0o600)
    folder = open_folder / "secrets"
    (folder / "redis").mkdir(parents=True)
    for place in (folder, folder / "redis"):
        os.chown(place, SERVICES_USER, SERVICES_USER)
    job = [sys.executable, "-m", "shared.runtime.provisioning", "secrets", str(folder)]
    done = subprocess.run(
        [*job, "--keys", str(keys)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    key = folder / "executor" / "ALPACA_API_KEY_ID"
    assert key.read_text().strip() == "PKMADEUP"
    assert (key.stat().st_uid, key.stat().st_mode & 0o777) == (SERVICES_USER, 0o600)
