"""Every strategy on a pandas frame: `generate_signals` (latest) and `scan_signals_over_time` (all).

For notebooks and people who think in frames; thin faces of the one array function. Services never
import it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shared.domain.market.bars import Panel
from shared.domain.market.pandas_frames import panel_of
from shared.domain.market.signal_table import SignalTable
from shared.strategies.registry import load, params_from


def generate_signals(
    frame: pd.DataFrame, strategy: str, *, folder: Path | None = None, **parameters: Any
) -> pd.DataFrame:
    """The signals of the frame's latest session: the last rows of `scan_signals_over_time`."""
    panel, table = _scan(frame, strategy, folder, parameters)
    return _frame_of(panel, table.on(panel.sessions.size - 1), strategy)


def scan_signals_over_time(
    frame: pd.DataFrame, strategy: str, *, folder: Path | None = None, **parameters: Any
) -> pd.DataFrame:
    """Every signal in a frame of bars, by session, then symbol.

    `frame` has the columns timestamp, symbol, open, high, low, close, volume; impossible bars are
    left out. Columns of the result: session, symbol, strategy, side ("long"/"short"),
    reference_price, stop, target (NaN = none), time_stop_bars, score, reason, and one per indicator
    used. Raises UserError if the strategy, a parameter or a column is not there.
    """
    panel, table = _scan(frame, strategy, folder, parameters)
    return _frame_of(panel, table, strategy)


def _scan(
    frame: pd.DataFrame, name: str, folder: Path | None, parameters: dict[str, Any]
) -> tuple[Panel, SignalTable]:
    strategy = load(name, folder)
    params = params_from(strategy, parameters)
    panel, _ = panel_of(frame)
    return panel, strategy.signals(panel, params)


def _frame_of(panel: Panel, table: SignalTable, strategy: str) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "session": panel.sessions[table.column].astype("datetime64[ms]"),
            "symbol": np.array(panel.symbols, dtype=object)[table.row],
            "strategy": strategy,
            "side": np.where(table.side > 0, "long", "short"),
            "reference_price": table.reference_price,
            "stop": table.stop,
            "target": table.target,
            "time_stop_bars": table.time_stop_bars,
            "score": table.score,
            "reason": table.reason,
            **table.indicators,
        }
    )
    return rows.sort_values(["session", "symbol"], kind="stable", ignore_index=True)
