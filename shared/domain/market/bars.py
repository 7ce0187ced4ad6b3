"""Daily bars: rows as they arrive (`Bars`), the panel all computing is done on (`Panel`).

Called by the data-fetcher, the archive, strategies and the simulation. It reads no files, judges no
bar (refusals.py) and repairs no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.sessions import Sessions, is_session

Floats = NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")
BLOCK = 1 << 16
"""Bars worked on together: few enough to stay in the processor's cache."""


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
    no bar.
    """

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


def round_prices(prices: NDArray[np.floating]) -> Floats:
    """float64 of four decimals: each the float64 nearest to a whole number of ten-thousandths."""
    doubles: Floats = prices.astype(np.float64)
    return doubles.round(4)


def join_bars(parts: Iterable[Bars]) -> Bars:
    """All bars of the parts in their order; symbols in order."""
    given = list(parts)
    symbols = tuple(sorted({symbol for part in given for symbol in part.symbols}))
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = [
        np.array([place[symbol] for symbol in part.symbols], np.int32)[part.row] for part in given
    ]
    fields = {
        name: np.concatenate([getattr(part, name) for part in given])
        for name in ("session", *FIELDS)
    }
    return Bars(symbols, np.concatenate(rows), **fields)


def order_symbols(bars: Bars) -> Bars:
    """The same bars, their symbols in order and each once."""
    symbols = tuple(sorted(set(bars.symbols)))
    if symbols == bars.symbols:
        return bars
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = np.array([place[symbol] for symbol in bars.symbols], np.int32)
    return replace(bars, symbols=symbols, row=rows[bars.row])


def align(bars: Bars) -> Panel:
    """The panel of bars that `refuse_impossible` let through, on every session from first to last.

    Raises ValueError if a bar lies on a day without a session.
    """
    fields = {name: getattr(bars, name) for name in FIELDS}
    return align_fields(bars.symbols, bars.row, bars.session, fields)


def align_fields(
    symbols: tuple[str, ...],
    row: NDArray[np.int32],
    session: Sessions,
    fields: dict[str, NDArray[np.floating]],
    kept: NDArray[np.bool_] | None = None,
) -> Panel:
    """Like `align`, of the entries `kept` (None: all); takes each field out of `fields` when done.

    So a file is aligned with hardly more memory than it and its panel need.
    """
    days = session.astype("datetime64[D]", copy=False)
    kept_days = days if kept is None else days[kept]
    span = np.arange(kept_days.min(), kept_days.max() + 1) if kept_days.size else kept_days
    traded = is_session(span)
    column = np.where(traded, np.cumsum(traded) - 1, -1)
    if kept_days.size and (column[_days_since(kept_days, span)] < 0).any():
        raise ValueError("a bar on a day without a session cannot be aligned")
    aligned = {}
    for name in FIELDS:
        values = fields.pop(name)
        aligned[name] = field = np.full((len(symbols), int(traded.sum())), np.nan)
        for first in range(0, row.size, BLOCK):
            block = slice(first, first + BLOCK)
            which = slice(None) if kept is None else kept[block]
            places = column[_days_since(days[block][which], span)]
            chosen = values[block][which]
            field[row[block][which], places] = chosen if name == "volume" else round_prices(chosen)
        del values
    return Panel(symbols, span[traded], **aligned)


def _days_since(days: Sessions, span: Sessions) -> NDArray[np.int64]:
    return (days - span[:1]).astype(np.int64)


def bars_of(panel: Panel) -> Bars:
    """The bars of a panel as rows, by symbol, then session."""
    row, column = np.nonzero(np.isfinite(panel.close))
    fields = {name: getattr(panel, name)[row, column] for name in FIELDS}
    return Bars(panel.symbols, row.astype(np.int32), panel.sessions[column], **fields)
