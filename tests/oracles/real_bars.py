"""Real bars for tests: the sample package's five stocks, and the S&P 500 where that data lies."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from bokeh_sampledata import stocks

from shared.domain.market.bars import FIELDS, Bars, Panel, align
from shared.domain.market.refusals import refuse_impossible

PRICES = ("open", "high", "low", "close")


@cache
def sample_panel() -> Panel:
    """AAPL, FB, GOOG, IBM, MSFT, 2000 to 2013, adjusted by Adj Close / Close."""
    frames = []
    for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT"):
        frame = pd.DataFrame(getattr(stocks, symbol))
        factor = frame["adj_close"] / frame["close"]
        adjusted = frame[list(PRICES)].mul(factor, axis=0)
        frames.append(
            adjusted.assign(volume=frame["volume"], symbol=symbol, timestamp=frame["date"])
        )
    return _panel(pd.concat(frames))


@cache
def sp500_panel(folder: Path, sessions: int | None = None, every: int = 1) -> Panel:
    """The last so many sessions of every n-th symbol; all of it by default."""
    frame = pd.read_parquet(folder / "data" / "sp500_daily.parquet")
    symbols = sorted(frame["symbol"].unique())[::every]
    days = np.sort(frame["timestamp"].unique())[-(sessions or 0) :]
    return _panel(frame[frame["symbol"].isin(symbols) & frame["timestamp"].isin(days)])


def _panel(frame: pd.DataFrame) -> Panel:
    row, symbols = pd.factorize(frame["symbol"], sort=True)
    fields = {name: frame[name].to_numpy(np.float64) for name in FIELDS}
    session = pd.to_datetime(frame["timestamp"]).to_numpy().astype("datetime64[D]")
    good, _ = refuse_impossible(Bars(tuple(symbols), row.astype(np.int32), session, **fields))
    return align(good)
