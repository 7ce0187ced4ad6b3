"""What a stranger installs: the wheel in a clean environment, far from any checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 2_000_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def run(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in an environment that knows nothing of this checkout."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel with the backend that the locks pin."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = str(Path(sys.executable).with_name("uv"))
    command = (uv, "build", "--wheel", "--no-build-isolation", "--python", sys.executable)
    done = run(*command, "--out-dir", str(folder), str(ROOT), cwd=folder)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def kobe(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install it into a new environment and return the path of its `kobe`."""
    folder = tmp_path_factory.mktemp("stranger")
    uv = str(Path(sys.executable).with_name("uv"))
    python = folder / "venv" / "bin" / "python"
    install = (uv, "pip", "install", "--quiet", "--python", str(python))
    for command in (
        (uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")),
        (*install, "--require-hashes", "-r", str(ROOT / "locks" / "runtime.txt")),
        (*install, "--no-deps", str(wheel)),
    ):
        done = run(*command, cwd=folder)
        assert done.returncode == 0, done.stderr
    return python.with_name("kobe")


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size <= MOST_BYTES


def test_a_backtest_runs_outside_a_checkout(kobe: Path, tmp_path: Path) -> None:
    done = run(str(kobe), "backtest", "--strategy", "donchian", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kind"] == "backtest"


def test_a_demo_runs_outside_a_checkout(kobe: Path, tmp_path: Path) -> None:
    done = run(str(kobe), "demo", "--sessions", "5", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
