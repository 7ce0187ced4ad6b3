"""Ctrl-C, kill -9, closed pipes, full disks and odd locales: one sentence, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.requirements import Requirement, require

ROOT = Path(__file__).resolve().parents[3]
KOBE = [sys.executable, "-m", "services.console.cli.app"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


def begin(arguments: list[str], cwd: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*KOBE, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            text = status.read_text()
        except OSError:
            continue
        if f"PPid:\t{pid}\n" in text:
            found.append(int(status.parent.name))
    return found


@pytest.mark.parametrize(
    ("command", "library"),
    [
        ("backtest --strategy donchian", "numpy"),
        ("walk-forward --train 60 --test 21 --out out", "numpy"),
        ("replay --sessions 2000", "numpy"),
        ("logs --follow", "msgspec"),
    ],
)
def test_ctrl_c_is_one_sentence_and_130(command: str, library: str, tmp_path: Path) -> None:
    """Interrupted once the command itself has begun: it has loaded that library by then."""
    require(Requirement.LINUX)
    (tmp_path / "logs").mkdir()
    process = begin(command.split(), tmp_path)
    maps = Path(f"/proc/{process.pid}/maps")
    until(lambda: library in maps.read_text(), f"{command} has begun")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == "kobe: Interrupted."
    assert "Traceback" not in out + err


def test_a_demo_killed_with_9_takes_its_processes_and_files_with_it(tmp_path: Path) -> None:
    require(Requirement.LINUX)
    process = begin(["demo", "--sessions", "2000", "--pace", "0.1"], tmp_path)
    marker = tmp_path / "state" / "demo.json"
    until(marker.exists, "the demo runs")
    family = children(process.pid)
    assert len(family) >= 8
    process.kill()
    process.communicate()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in family), "all have ended", 30)
    assert not marker.exists()


def test_output_into_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    process = begin(["--help"], tmp_path)
    assert process.stdout
    process.stdout.close()
    assert process.wait(30) == 0
    assert process.stderr
    assert not process.stderr.read()
    process.stderr.close()


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    require(Requirement.LINUX)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*KOBE, "backtest", "--strategy", "donchian", "--json"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 74
    assert done.stderr == "kobe: No space left on device.\n"


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_a_locale_without_utf_8_changes_no_exit_code(locale: str, tmp_path: Path) -> None:
    environ = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    process = begin(
        ["backtest", "--strategy", "donchian", "--end", "2003-01-01"], tmp_path, **environ
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Total return" in out


@pytest.mark.parametrize("columns", [40, 60, 100])
def test_every_width_is_readable(columns: int, tmp_path: Path) -> None:
    process = begin(["--help"], tmp_path, COLUMNS=str(columns))
    out, _ = process.communicate(timeout=30)
    assert max(map(len, out.splitlines())) <= max(columns, 60)


def test_help_imports_no_engine_no_client_and_no_table(tmp_path: Path) -> None:
    code = (
        "import sys; from services.console.cli.app import run; run(['--help']); "
        "print([name for name in ('numpy', 'redis', 'rich', 'msgspec', 'requests', 'numba') "
        "if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
