"""Daily bars: rows as they arrive (`Bars`), the panel all computing is done on (`Panel`).

Called by the data-fetcher, the archive, strategies and the simulation. It reads no files, judges no
bar (refusals.py) and repairs no data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.sessions import Sessions, is_session

Floats = NDArray[np.float64]

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")


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


def align(bars: Bars) -> Panel:
    """The panel of bars that `refuse_impossible` let through, on every session from first to last.

    Raises ValueError if a bar lies on a day without a session.
    """
    days = bars.session.astype("datetime64[D]")
    span = np.arange(days.min(), days.max() + 1) if days.size else days
    traded = is_session(span)
    column = np.where(traded, np.cumsum(traded) - 1, -1)[_days_since(days, span)]
    if (column < 0).any():
        raise ValueError("a bar on a day without a session cannot be aligned")
    sessions = span[traded]
    fields = {name: _spread(bars, name, column, sessions.size) for name in FIELDS}
    return Panel(bars.symbols, sessions, **fields)


def _days_since(days: Sessions, span: Sessions) -> NDArray[np.int64]:
    return (days - span[:1]).astype(np.int64)


def _spread(bars: Bars, name: str, column: NDArray[np.int64], width: int) -> Floats:
    field = np.full((len(bars.symbols), width), np.nan)
    field[bars.row, column] = getattr(bars, name)
    return field
