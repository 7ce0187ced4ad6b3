"""A strategy in the user's own folder is held to the laws of strategies like one of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from shared.runtime.config.settings import DEFAULT_FILE

ROOT = Path(__file__).resolve().parents[2]
SUITE = "tests/contracts/test_strategies.py"
LOOKS_AHEAD = """
from dataclasses import dataclass

import numpy as np

from shared.domain.market.signal_table import LONG, signal_table

NAME = "prophet"


@dataclass(frozen=True)
class Params:
    bars: int = 1


def warmup(params):
    return params.bars


def signals(panel, params):
    rises = np.zeros(panel.shape, bool)
    rises[:, 1:-1] = panel.close[:, 2:] > panel.close[:, 1:-1]
    row, column = np.nonzero(rises)
    close = panel.close[row, column]
    return signal_table(
        row=row.astype(np.int32),
        column=column.astype(np.int32),
        side=np.full(row.size, LONG, np.int8),
        close=close,
        stop=close / 2,
        target=None,
        score=close,
        indicators={},
        time_stop_bars=5,
        reason="tomorrow is higher",
    )
"""


def run_suite(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The contract suite with kobe.toml's folder of strategies set to `folder`."""
    config = folder / "kobe.toml"
    config.write_text(DEFAULT_FILE.read_text().replace('folder = ""', f'folder = "{folder}"', 1))
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SUITE, *options],
        cwd=ROOT,
        env={**os.environ, "KOBE_CONFIG": str(config)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_users_strategy_that_looks_ahead_fails_the_suite_that_finds_it(tmp_path: Path) -> None:
    (tmp_path / "prophet.py").write_text(LOOKS_AHEAD)
    run = run_suite(tmp_path, "-k", "prophet and a_cut_changes_no_bit")
    assert run.returncode == 1, run.stdout
    assert "test_a_cut_changes_no_bit_of_what_was_said[prophet]" in run.stdout
