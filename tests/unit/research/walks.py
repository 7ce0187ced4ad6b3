"""Small walk-forwards for tests: made bars, short windows, a grid of four sets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from services.research.data.dataset import Dataset
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.walk_forward.plan import Plan, WalkForward, plan
from services.research.walk_forward.thread_runner import ThreadRunner
from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import AccountWalk, walk
from shared.domain.market.bars import Panel
from shared.runtime.config.settings import load_settings
from tests.oracles.made_bars import cent_walks

GRID: dict[str, tuple[bool | int | float, ...]] = {"lookback": (5, 10), "stop_mult": (1.5, 3.0)}
PARAMETERS = {"min_price": 1.0}


def market(
    seed: int = 3, *, symbols: int = 6, bars: int = 200, panel: Panel | None = None
) -> Dataset:
    made = panel or cent_walks(seed, symbols=symbols, bars=bars)
    return Dataset(made, f"bars {seed}", {}, "made bars", None)


def request(**facts: Any) -> WalkForward:
    """Donchian on windows of 60 and 20 sessions, unless said otherwise."""
    inputs = Inputs(strategies=(StrategyInputs(name="donchian", parameters=PARAMETERS),))
    usual: dict[str, Any] = {
        "inputs": inputs,
        "train": 60,
        "test": 20,
        "anchored": False,
        "objective": "sharpe",
        "grids": {"donchian": GRID},
    }
    return WalkForward(**{**usual, **facts})


def planned(of: Dataset | None = None, **facts: Any) -> Plan:
    return plan(request(**facts), of or market(), load_settings({}))


def walked(folder: Path, of: Dataset | None = None, **facts: Any) -> tuple[AccountWalk, ...]:
    made = planned(of, **facts)
    return walk(made, ThreadRunner(Trials(made.market), folder))


def csv_bars(file: Path, panel: Panel) -> Path:
    """The panel as a user's file."""
    lines = ["timestamp,symbol,open,high,low,close,volume"]
    for row, symbol in enumerate(panel.symbols):
        for column in np.flatnonzero(~np.isnan(panel.close[row])).tolist():
            prices = ",".join(
                f"{getattr(panel, name)[row, column]:.4f}"
                for name in ("open", "high", "low", "close")
            )
            lines.append(f"{panel.sessions[column]},{symbol},{prices},1000000")
    file.write_text("\n".join(lines) + "\n")
    return file
