"""What daily bars are worth, symbol by symbol.

Reach, gaps against the exchange calendar, jumps, staleness.

Called by `kobe data check`, by research for the head of its reports and by the data-fetcher for its
metrics. It judges no single bar and reads no files.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import PRICES, Panel

NAMED_SESSIONS = 3
LARGEST_DIFFERENCE = 0.002
"""Two vendors' prices of one bar differ by so much where they round or correct apart."""


class SymbolCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol. `missing` counts sessions without a bar between its first and last one."""

    symbol: str
    rows: int
    first: dt.date
    last: dt.date
    missing: int
    missing_first: tuple[dt.date, ...]
    refused: int
    jumps: tuple[str, ...]
    sessions_behind: int

    @property
    def is_clean(self) -> bool:
        return not (self.missing or self.refused or self.jumps or self.sessions_behind)


class BarsCheck(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. `refused` counts by reason.

    `faults` are damages of an archive, a sentence each.
    """

    source: str
    basis: Basis
    basis_is_guessed: bool
    symbols: tuple[SymbolCheck, ...]
    first: dt.date
    last: dt.date
    sessions: int
    bars: int
    refused: Mapping[str, int]
    faults: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        return sum(each.missing for each in self.symbols)

    @property
    def jumps(self) -> int:
        return sum(len(each.jumps) for each in self.symbols)

    @property
    def stale(self) -> tuple[str, ...]:
        """Symbols without a bar on the last session: late, halted, or gone."""
        return tuple(each.symbol for each in self.symbols if each.sessions_behind)


class PriceDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A price of one bar that two sources do not agree on."""

    symbol: str
    session: dt.date
    field: str
    mine: float
    theirs: float


class BarsComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Bars that two sources both have, and where they differ."""

    compared: int
    differing: int
    symbols: int
    differences: tuple[PriceDifference, ...]


def check_bars(
    panel: Panel,
    *,
    source: str,
    basis: Basis,
    basis_is_guessed: bool = False,
    refused: Mapping[str, int] | None = None,
    refused_by_symbol: Mapping[str, int] | None = None,
    jumps: Mapping[str, Sequence[str]] | None = None,
    faults: Sequence[str] = (),
) -> BarsCheck:
    """The check of a panel that has at least one session; `jumps` are sentences by symbol."""
    days: list[dt.date] = panel.sessions.tolist()
    by_symbol, jumped = refused_by_symbol or {}, jumps or {}
    symbols = tuple(
        _check_symbol(
            symbol, np.flatnonzero(np.isfinite(panel.close[row])), days,
            by_symbol.get(symbol, 0), tuple(jumped.get(symbol, ())),
        )
        for row, symbol in enumerate(panel.symbols)
    )  # fmt: skip
    return BarsCheck(
        source=source,
        basis=basis,
        basis_is_guessed=basis_is_guessed,
        symbols=symbols,
        first=days[0],
        last=days[-1],
        sessions=len(days),
        bars=sum(each.rows for each in symbols),
        refused=dict(refused or {}),
        faults=tuple(faults),
    )


def _check_symbol(
    symbol: str, columns: np.ndarray, days: list[dt.date], refused: int, jumps: tuple[str, ...]
) -> SymbolCheck:
    first, last = int(columns[0]), int(columns[-1])
    is_whole = columns.size == last + 1 - first
    gaps = columns[:0] if is_whole else np.setdiff1d(np.arange(first, last + 1), columns)
    return SymbolCheck(
        symbol=symbol,
        rows=columns.size,
        first=days[first],
        last=days[last],
        missing=gaps.size,
        missing_first=tuple(days[at] for at in gaps[:NAMED_SESSIONS].tolist()),
        refused=refused,
        jumps=jumps,
        sessions_behind=len(days) - 1 - last,
    )


def compare_bars(one: Panel, other: Panel, most: int = 20) -> BarsComparison:
    """The bars of both that are of one symbol and session.

    The first `most` differences are named.
    """
    symbols = [symbol for symbol in one.symbols if symbol in other.symbols]
    sessions, mine_at, theirs_at = np.intersect1d(
        one.sessions, other.sessions, assume_unique=True, return_indices=True
    )
    days: list[dt.date] = sessions.tolist()
    compared = differing = 0
    found: list[PriceDifference] = []
    for symbol in symbols:
        mine, theirs = one.row(symbol), other.row(symbol)
        both = np.isfinite(one.close[mine, mine_at]) & np.isfinite(other.close[theirs, theirs_at])
        compared += int(both.sum())
        odd = np.zeros(both.size, bool)
        for name in PRICES:
            left = getattr(one, name)[mine, mine_at]
            right = getattr(other, name)[theirs, theirs_at]
            off = both & (np.abs(left - right) > LARGEST_DIFFERENCE * np.abs(left))
            found += [
                PriceDifference(
                    symbol=symbol, session=days[at], field=name,
                    mine=float(left[at]), theirs=float(right[at]),
                )
                for at in np.flatnonzero(off)[: max(0, most - len(found))].tolist()
            ]  # fmt: skip
            odd |= off
        differing += int(odd.sum())
    return BarsComparison(
        compared=compared, differing=differing, symbols=len(symbols), differences=tuple(found)
    )
