"""A compiled form in the cache is stale as soon as anything it was made of has changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
CALLED = """
from shared.domain.arrays.jit import jit
SCALE = {scale}
@jit
def called(x):
    return x + {step}
"""
CALLER = """
from shared.domain.arrays.jit import jit
from called_kernel import SCALE, called
@jit
def caller(x):
    return called(x) * SCALE
print(caller(1.0), sum(caller.stats.cache_hits.values()))
"""


def run(folder: Path, *, step: int, scale: int) -> str:
    (folder / "called_kernel.py").write_text(CALLED.format(step=step, scale=scale))
    (folder / "caller_kernel.py").write_text(CALLER)
    environment = {
        "NUMBA_CACHE_DIR": str(folder / "cache"),
        "PYTHONPATH": f"{ROOT}:{folder}",
        "PATH": "/usr/bin:/bin",
    }
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", "import caller_kernel"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.slow
def test_a_kernel_is_compiled_anew_when_one_it_calls_or_a_constant_has_changed(
    tmp_path: Path,
) -> None:
    assert run(tmp_path, step=1, scale=1) == "2.0 0"
    assert run(tmp_path, step=1, scale=1) == "2.0 1"
    assert run(tmp_path, step=5, scale=1) == "6.0 0"
    assert run(tmp_path, step=5, scale=3) == "18.0 0"
