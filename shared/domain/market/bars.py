"""Daily bars: rows as they arrive (`Bars`), the panel all computing is done on (`Panel`).

Between the two, impossible bars are refused. Called by the data-fetcher, the archive, strategies
and the simulation. It reads no files and repairs no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sessions = NDArray[np.datetime64]

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
UNITS_PER_DOLLAR = 10_000
OUTSIDE_RANGE = 10_000
"""A price may lie outside [low, high] by one part in this many: vendors round each price alone."""
AT_ONCE = 1 << 16
"""Bars checked together: few enough to stay in the processor's cache."""


class BarDefect(StrEnum):
    """Why a bar was refused."""

    NOT_A_NUMBER = "not_a_number"
    NOT_POSITIVE = "not_positive"
    HIGH_BELOW_LOW = "high_below_low"
    OPEN_OUTSIDE_RANGE = "open_outside_range"
    CLOSE_OUTSIDE_RANGE = "close_outside_range"
    DUPLICATE = "duplicate"
    UNSORTED = "unsorted"


@dataclass(frozen=True, slots=True)
class RefusedBar:
    """One bar that was not let in."""

    symbol: str
    session: np.datetime64
    reason: BarDefect


@dataclass(frozen=True, slots=True, eq=False)
class Bars:
    """Bars as they arrive, one entry each, of any number of symbols. Floats of either width."""

    symbols: tuple[str, ...]
    row: NDArray[np.int32]
    """Index into `symbols`."""
    session: Sessions
    open: NDArray[np.floating]
    high: NDArray[np.floating]
    low: NDArray[np.floating]
    close: NDArray[np.floating]
    volume: NDArray[np.floating]

    def only(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Bars:
        """Those where `which` is true, or those at its places, in its order."""
        fields = {name: getattr(self, name)[which] for name in ("row", "session", *FIELDS)}
        return Bars(self.symbols, **fields)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """Daily bars of many symbols, aligned on the union of their sessions.

    The fields are (symbols, bars), C-contiguous, possibly read-only memory maps; NaN in all five =
    no bar."""

    symbols: tuple[str, ...]
    sessions: Sessions
    """datetime64[D], ascending, (bars,)."""
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.symbols), self.sessions.size

    def row(self, symbol: str) -> int:
        """The symbol's index; ValueError if it is not in the panel."""
        return self.symbols.index(symbol)

    def first(self, bars: int) -> Panel:
        """The first so many sessions, as views."""
        fields = {name: getattr(self, name)[:, :bars] for name in FIELDS}
        return replace(self, sessions=self.sessions[:bars], **fields)

    def through(self, session: np.datetime64) -> Panel:
        """The sessions up to and including `session`, as views."""
        return self.first(int(np.searchsorted(self.sessions, session, side="right")))

    def select(self, symbols: Sequence[str]) -> Panel:
        """These symbols in this order, on the same sessions (copies)."""
        place = {symbol: row for row, symbol in enumerate(self.symbols)}
        rows = [place[symbol] for symbol in symbols]
        return replace(
            self, symbols=tuple(symbols), **{name: getattr(self, name)[rows] for name in FIELDS}
        )


def refuse_impossible(bars: Bars) -> tuple[Bars, list[RefusedBar]]:
    """The possible bars, in their order, and every other one with its first reason.

    Prices become float64 rounded to four decimals, so each is the float64 nearest to a whole number
    of ten-thousandths. A repeated session keeps its first bar; a bar older than one before it is
    unsorted."""
    clean = _quantize(bars)
    reasons = _impossible(clean)
    kept = np.flatnonzero(reasons == 0)
    reasons[kept] = _find_misplaced(clean.row[kept], clean.session[kept])
    good = clean if not reasons.any() else clean.only(reasons == 0)
    return good, [_refusal(clean, reasons, entry) for entry in np.flatnonzero(reasons).tolist()]


def _quantize(bars: Bars) -> Bars:
    prices = {name: np.round(getattr(bars, name).astype(np.float64), 4) for name in PRICES}
    return Bars(
        bars.symbols, bars.row, bars.session, volume=bars.volume.astype(np.float64), **prices
    )


def _impossible(bars: Bars) -> NDArray[np.int8]:
    """Per bar 0, or the place (from 1) of its first defect; the last two are found elsewhere."""
    reasons = np.zeros(bars.row.size, np.int8)
    for first in range(0, bars.row.size, AT_ONCE):
        block = slice(first, first + AT_ONCE)
        fields = {name: getattr(bars, name)[block] for name in FIELDS}
        for number, impossible in enumerate(_breaches(**fields), start=1):
            reasons[block][(reasons[block] == 0) & impossible] = number
    return reasons


def _breaches(
    open: Floats, high: Floats, low: Floats, close: Floats, volume: Floats
) -> tuple[NDArray[np.bool_], ...]:
    """In the order of `BarDefect`."""
    prices = np.stack([open, high, low, close])
    known = np.isfinite(prices).all(axis=0) & np.isfinite(volume)
    opening, highest, lowest, closing = np.rint(
        np.where(known, prices, 0) * UNITS_PER_DOLLAR
    ).astype(np.int64)
    outside = [
        (price - highest) * OUTSIDE_RANGE > highest
        if above
        else (lowest - price) * OUTSIDE_RANGE > lowest
        for price in (opening, closing)
        for above in (True, False)
    ]
    not_positive = (np.minimum.reduce([opening, highest, lowest, closing]) <= 0) | (volume < 0)
    return ~known, not_positive, highest < lowest, outside[0] | outside[1], outside[2] | outside[3]


def _find_misplaced(row: NDArray[np.int32], session: Sessions) -> NDArray[np.int8]:
    """0, or the place (from 1) of DUPLICATE or UNSORTED in `BarDefect`."""
    reasons = np.zeros(row.size, np.int8)
    later = (row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (session[1:] > session[:-1]))
    if later.all():
        return reasons
    day = session.astype("datetime64[D]").astype(np.int64)
    order = np.argsort(row, kind="stable")
    # Rows ascend, so one running maximum of (row, day) is each symbol's own.
    key = (row.astype(np.int64) * (np.ptp(day) + 1) + day - day.min())[order]
    latest = np.maximum.accumulate(key)[:-1]
    places = [
        0,
        *(
            list(BarDefect).index(reason) + 1
            for reason in (BarDefect.DUPLICATE, BarDefect.UNSORTED)
        ),
    ]
    reasons[order[1:]] = np.array(places, np.int8)[
        np.where(key[1:] == latest, 1, np.where(key[1:] < latest, 2, 0))
    ]
    return reasons


def _refusal(bars: Bars, reasons: NDArray[np.int8], entry: int) -> RefusedBar:
    reason = list(BarDefect)[int(reasons[entry]) - 1]
    return RefusedBar(bars.symbols[bars.row[entry]], bars.session[entry], reason)


def align(bars: Bars) -> Panel:
    """The panel of bars that `refuse_impossible` has let through."""
    days = bars.session.astype("datetime64[D]").astype(np.int64)
    first = int(days.min()) if days.size else 0
    traded = np.bincount(days - first) > 0
    column = (np.cumsum(traded) - 1)[days - first]
    sessions = (np.flatnonzero(traded) + first).astype("datetime64[D]")
    fields = {name: _spread(bars, name, column, sessions.size) for name in FIELDS}
    return Panel(bars.symbols, sessions, **fields)


def _spread(bars: Bars, name: str, column: NDArray[np.int64], width: int) -> Floats:
    field = np.full((len(bars.symbols), width), np.nan)
    field[bars.row, column] = getattr(bars, name)
    return field
