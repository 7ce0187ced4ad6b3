"""What the recorded vendors know.

Raw bars, corporate actions and listings, all made by us (or read from a file).

Both wire formats are written from the same value, so that two vendors can be held to one archive.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import FIELDS, PRICES, Bars, bars_of
from shared.runtime.bar_files.reader import read_files
from shared.schemas.corporate_actions import CashDividend, Removal, Rename, Split

NEW_YORK = ZoneInfo("America/New_York")
MINUTE_MS = 60_000


@dataclass(frozen=True)
class Listed:
    """One share as a vendor's reference lists it.

    `figi` tells a company from another that used its ticker.
    """

    symbol: str
    name: str = ""
    exchange: str = "XNYS"
    kind: str = "CS"
    figi: str = ""
    first: dt.date = dt.date(1990, 1, 2)
    last: dt.date | None = None
    options: bool = True


@dataclass(frozen=True)
class RecordedMarket:
    bars: Bars
    """Raw, as traded; by symbol, then session."""
    splits: tuple[Split, ...] = ()
    dividends: tuple[CashDividend, ...] = ()
    renames: tuple[Rename, ...] = ()
    removals: tuple[Removal, ...] = ()
    listed: tuple[Listed, ...] = ()
    sessions: tuple[dt.date, ...] = field(default=())

    @cached_property
    def listings(self) -> dict[str, Listed]:
        named = {each.symbol: each for each in self.listed}
        plain = {symbol: Listed(symbol, name=symbol) for symbol in self.bars.symbols}
        return {**plain, **named}

    @cached_property
    def rows(self) -> dict[str, slice]:
        """Where each symbol's bars stand."""
        edges = np.searchsorted(self.bars.row, np.arange(len(self.bars.symbols) + 1))
        return {
            symbol: slice(int(edges[number]), int(edges[number + 1]))
            for number, symbol in enumerate(self.bars.symbols)
        }

    @cached_property
    def days(self) -> tuple[dt.date, ...]:
        return self.sessions or tuple(np.unique(self.bars.session).tolist())

    def between(self, symbol: str, start: dt.date, end: dt.date) -> dict[str, NDArray[Any]]:
        """One symbol's columns from `start` through `end`, empty for one that is not known."""
        where = self.rows.get(symbol, slice(0, 0))
        session = self.bars.session[where]
        first = where.start + int(np.searchsorted(session, np.datetime64(start)))
        last = where.start + int(np.searchsorted(session, np.datetime64(end), side="right"))
        return {name: getattr(self.bars, name)[first:last] for name in ("session", *FIELDS)}

    def split_adjusted(
        self, symbol: str, columns: dict[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Prices and volume on today's share count."""
        factor = np.ones(columns["session"].size)
        for split in self.splits:
            if split.symbol == symbol:
                factor[columns["session"] < np.datetime64(split.ex_date)] *= float(split.ratio)
        prices = {name: np.round(columns[name] / factor, 4) for name in PRICES}
        return {**columns, **prices, "volume": np.round(columns["volume"] * factor)}

    @cached_property
    def by_day(self) -> dict[dt.date, NDArray[np.intp]]:
        order = np.argsort(self.bars.session, kind="stable")
        days, starts = np.unique(self.bars.session[order], return_index=True)
        return dict(zip(days.tolist(), np.split(order, starts[1:]), strict=True))


def midnight(day: dt.date) -> dt.datetime:
    """The beginning of a session's date in New York."""
    return dt.datetime.combine(day, dt.time(), NEW_YORK)


def wall_ms(day: dt.date, time: dt.time) -> int:
    """Milliseconds since the epoch of a New York wall time."""
    return int(dt.datetime.combine(day, time, NEW_YORK).timestamp()) * 1000


def walks(
    symbols: Sequence[str], sessions: Sequence[dt.date], *, seed: int = 1, first: float = 20.0
) -> Bars:
    """Random walks in whole cents, every bar possible; the same seed gives the same bars."""
    draw = np.random.default_rng(seed)
    shape = (len(symbols), len(sessions))
    steps = draw.normal(0.0004, 0.018, shape)
    close = np.maximum(np.round(first * np.exp(np.cumsum(steps, axis=1)), 2), 1.0)
    opening = np.maximum(np.round(close * np.exp(draw.normal(0, 0.008, shape)), 2), 1.0)
    high = np.round(np.maximum(close, opening) * (1 + np.abs(draw.normal(0, 0.006, shape))), 2)
    low = np.maximum(
        np.round(np.minimum(close, opening) * (1 - np.abs(draw.normal(0, 0.006, shape))), 2), 0.5
    )
    fields = {"open": opening, "high": high, "low": low, "close": close}
    return Bars(
        tuple(symbols),
        np.repeat(np.arange(shape[0], dtype=np.int32), shape[1]),
        np.tile(np.array(sessions, "datetime64[D]"), shape[0]),
        **{name: np.ascontiguousarray(values).ravel() for name, values in fields.items()},
        volume=draw.integers(2_000_000, 9_000_000, shape).astype(np.float64).ravel(),
    )


def weekdays(first: dt.date, count: int) -> list[dt.date]:
    """So many days from `first` on, weekends left out.

    Sessions enough where no calendar is asked.
    """
    found: list[dt.date] = []
    day = first
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day += dt.timedelta(days=1)
    return found


def market_of_file(file: Path) -> RecordedMarket:
    """A user's file as what a vendor has: its prices as they are, no splits to come."""
    panel = read_files(file).panel
    return RecordedMarket(bars_of(panel))
