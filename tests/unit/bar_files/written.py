"""Made bars, and the registry of layouts in which tests write them.

The bars are our own (a random walk); the forms, in the modules beside, are those of vendors' files.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from shared.domain.market.bars import FIELDS, Bars
from shared.domain.market.sessions import sessions_between

NEW_YORK = ZoneInfo("America/New_York")
SYMBOLS = ("AAPL", "BRK.B")
FIRST, LAST = dt.date(2016, 3, 14), dt.date(2018, 12, 20)
PRICES = FIELDS[:4]
TITLES = {name: name.title() for name in FIELDS}


def walk(symbols: tuple[str, ...] = SYMBOLS, first: dt.date = FIRST, last: dt.date = LAST) -> Bars:
    """Cent by cent around 25 and 140 dollars, a row of sessions for each symbol."""
    draw = np.random.default_rng(7)
    days = sessions_between(first, last)
    fields: dict[str, list[np.ndarray]] = {name: [] for name in FIELDS}
    for number in range(len(symbols)):
        close = (2500 + 11500 * (number % 2)) + np.cumsum(draw.integers(-30, 31, days.size))
        opening = close + draw.integers(-20, 21, days.size)
        fields["open"].append(opening / 100)
        fields["high"].append((np.maximum(opening, close) + draw.integers(0, 25, days.size)) / 100)
        fields["low"].append((np.minimum(opening, close) - draw.integers(0, 25, days.size)) / 100)
        fields["close"].append(close / 100)
        fields["volume"].append(draw.integers(100_000, 9_000_000, days.size) * 1.0)
    row = np.repeat(np.arange(len(symbols), dtype=np.int32), days.size)
    columns = {name: np.concatenate(each).round(2) for name, each in fields.items()}
    return Bars(symbols, row, np.tile(days, len(symbols)), **columns)


def frame(bars: Bars) -> pd.DataFrame:
    columns = {name: getattr(bars, name) for name in FIELDS}
    symbol = np.array(bars.symbols, object)[bars.row]
    data = pd.DataFrame(
        {"date": bars.session.astype("datetime64[ms]"), "symbol": symbol, **columns}
    )
    data["volume"] = data["volume"].astype("int64")
    return data


def epoch(day: pd.Timestamp, unit: str, hour: int = 0) -> int:
    local = dt.datetime(day.year, day.month, day.day, hour, tzinfo=NEW_YORK)
    return int(local.timestamp()) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


Layout = Callable[[Path, pd.DataFrame], Path]
LAYOUTS: dict[str, Layout] = {}


def layout(write: Layout) -> Layout:
    LAYOUTS[write.__name__] = write
    return write


def each(data: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    for symbol, own in data.groupby("symbol", sort=True):
        yield str(symbol), own.reset_index(drop=True)


def rows(data: pd.DataFrame) -> Iterator[Any]:
    yield from data.itertuples()


def folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path
