"""A strategy that always signals, bars that break out now and then, and a log kept in memory."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np

from shared.domain.market.bars import Bars, Panel
from shared.domain.market.signal_table import SignalTable, signal_table
from tests.bar_rows import trading_days

DAYS = trading_days(dt.date(2022, 1, 3), 420)


class Always:
    """A strategy that signals every bar above a price; its score is the symbol's price over ten."""

    def __init__(
        self, name: str, *, fails: str = "", score: float | None = None, exits: bool = False
    ) -> None:
        self.NAME, self.Params, self.fails, self.score, self.exits = name, dict, fails, score, exits

    def warmup(self, params: Any) -> int:
        return 1

    def signals(self, panel: Panel, params: Any) -> SignalTable:
        if self.fails:
            raise ValueError(self.fails)
        row, column = (each.astype(np.int32) for each in np.nonzero(np.isfinite(panel.close)))
        close = panel.close[row, column]
        flags = np.isfinite(panel.close) if self.exits else None
        return signal_table(
            row=row,
            column=column,
            side=np.ones(row.size, np.int8),
            close=close,
            stop=close - 5,
            target=None,
            score=close / 10 if self.score is None else np.full(row.size, self.score),
            indicators={"half": close / 2, "none": np.full(row.size, np.nan)},
            time_stop_bars=7,
            reason="always",
            exit_long=flags,
            exit_short=flags,
        )


def walk(symbols: int = 12, seed: int = 81) -> Bars:
    """Random walks that break out and sweep; symbol 3 has no last bar, symbol 4 lacks some."""
    rng = np.random.default_rng(seed)
    bars = len(DAYS)
    close = 50 * np.exp(np.cumsum(rng.normal(0.0005, 0.02, (symbols, bars)), axis=1))
    opening = close * np.exp(rng.normal(0, 0.008, close.shape))
    high = np.maximum(opening, close) * (1 + np.abs(rng.normal(0, 0.008, close.shape)))
    low = np.minimum(opening, close) * (1 - np.abs(rng.normal(0, 0.008, close.shape)))
    fields = {"open": opening, "high": high, "low": low, "close": close}
    prices = {name: np.round(field.ravel(), 4) for name, field in fields.items()}
    rows = np.repeat(np.arange(symbols, dtype=np.int32), bars)
    made = Bars(
        tuple(f"S{number:02}" for number in range(symbols)),
        rows,
        np.tile(np.array(DAYS, "datetime64[D]"), symbols),
        volume=np.full(rows.size, 1e6),
        **prices,
    )
    missing = (rows == 3) & (made.session == made.session.max()) | (rows == 4) & (
        made.session > made.session.max() - 9
    )
    return made.only(~missing)
