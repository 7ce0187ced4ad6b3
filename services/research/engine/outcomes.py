"""What becomes of each signal by itself, and the order in which signals compete for cash.

Called by simulate.py and by the policy pass of a backtest. A signal's outcome depends on the bars
alone, so it is found once per strategy and parameters and serves every window, sizing and cost. It
never decides what is taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from services.research.engine.outcome_kernels import (
    INVALIDATED_AT_OPEN,
    NO_TARGET,
    READY,
    UNTRADABLE,
    BarArrays,
    ExitRules,
    OrderArrays,
    OutcomeArrays,
    find_outcomes,
)
from services.research.engine.ranking_kernels import Candidates, by_entry
from shared.domain.arrays.jit import read_only
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.trading.fills import ExitReason

T = TypeVar("T", bound=np.generic)

UNITS_PER_DOLLAR = 10_000
INDEX_MARK = "^"
"""What the one spelling of symbols begins an index with (shared/domain/market/symbols.py)."""
EXIT_REASONS = tuple(ExitReason)
"""`Found.exit_kind` and `Trades.exit_kind` are places in this tuple."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """One strategy's signals followed to their ends; arrays aligned with the table's rows."""

    strategy: str
    orders: OrderArrays
    score: NDArray[np.float64]
    found: OutcomeArrays


def outcomes(panel: Panel, strategy: str, table: SignalTable) -> Outcomes:
    """Enter every signal at the next session's open and follow it over the whole panel.

    `found.status` is READY, or why there is no entry: NO_BAR, INVALIDATED_AT_OPEN, NO_SESSION
    (signal on the panel's last session), UNTRADABLE. Prices are whole ten-thousandths of a dollar,
    before slippage.
    """
    orders = OrderArrays(
        read_only(table.row.astype(np.int32, copy=False)),
        read_only(table.column.astype(np.int32, copy=False)),
        read_only(table.side.astype(np.int8, copy=False)),
        read_only(_units(table.stop)),
        read_only(np.where(np.isnan(table.target), NO_TARGET, _units(np.nan_to_num(table.target)))),
    )
    exits = ExitRules(table.time_stop_bars, _flags(table.exit_long), _flags(table.exit_short))
    score = np.where(np.isnan(table.score), -np.inf, table.score)
    found = find_outcomes(bars_of(panel), orders, exits)
    return Outcomes(strategy, orders, score, _without_untradable(panel, orders, found))


def _without_untradable(panel: Panel, orders: OrderArrays, found: OutcomeArrays) -> OutcomeArrays:
    """Entries in an index or in a bar without volume are history, not trades."""
    indices = np.array([symbol.startswith(INDEX_MARK) for symbol in panel.symbols], np.bool_)
    entry = np.minimum(orders.column + 1, panel.sessions.size - 1)
    blocked = indices[orders.row] | (panel.volume[orders.row, entry] == 0)
    enters = (found.status == READY) | (found.status == INVALIDATED_AT_OPEN)
    status = np.where(blocked & enters, np.int8(UNTRADABLE), found.status).astype(np.int8)
    return found._replace(status=read_only(status))


def rank(panel: Panel, found: Sequence[Outcomes]) -> Candidates:
    """All signals in the order in which they compete.

    By entry session, then strategy in the order given, then score descending, then symbol.
    """
    strategy = np.repeat(np.arange(len(found), dtype=np.int16), [each.score.size for each in found])
    entry_column = _join([each.orders.column for each in found], np.int32) + np.int32(1)
    row = _join([each.orders.row for each in found], np.int32)
    score = _join([each.score for each in found], np.float64)
    order, starts = by_entry(
        entry_column, strategy, score, _alphabetical(panel.symbols)[row], panel.sessions.size
    )
    return Candidates(
        starts=starts,
        strategy=strategy[order],
        signal=_join([np.arange(each.score.size) for each in found], np.int64)[order],
        row=row[order],
        entry_column=entry_column[order],
        side=_join([each.orders.side for each in found], np.int8)[order],
        stop=_join([each.orders.stop for each in found], np.int64)[order],
        status=_join([each.found.status for each in found], np.int8)[order],
        opening=_join([each.found.opening for each in found], np.int64)[order],
        exit_column=_join([each.found.exit_column for each in found], np.int32)[order],
        exit_price=_join([each.found.exit_price for each in found], np.int64)[order],
        exit_kind=_join([each.found.exit_kind for each in found], np.int8)[order],
        bars_held=_join([each.found.bars_held for each in found], np.int32)[order],
    )


def dollars(units: int) -> Decimal:
    """A price of `Outcomes` or `Candidates` as the fill functions want it."""
    return Decimal(int(units)).scaleb(-4)


def last_close(panel: Panel, row: int, column: int) -> tuple[int, Decimal]:
    """(column, close) of the symbol's last bar at or before `column`."""
    own = int(np.flatnonzero(~np.isnan(panel.close[row, : column + 1]))[-1])
    return own, dollars(round(float(panel.close[row, own]) * UNITS_PER_DOLLAR))


def bars_of(panel: Panel) -> BarArrays:
    """The panel's prices as the kernels want them."""
    return BarArrays(
        read_only(panel.open), read_only(panel.high), read_only(panel.low), read_only(panel.close)
    )


def _units(prices: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(prices * UNITS_PER_DOLLAR).astype(np.int64)


def _flags(exit_when: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    return read_only(np.zeros((0, 0), np.bool_) if exit_when is None else exit_when)


def _alphabetical(symbols: Sequence[str]) -> NDArray[np.int32]:
    place = np.empty(len(symbols), np.int32)
    place[sorted(range(len(symbols)), key=symbols.__getitem__)] = np.arange(
        len(symbols), dtype=np.int32
    )
    return place


def _join(parts: Sequence[NDArray[Any]], dtype: type[T]) -> NDArray[T]:
    return np.concatenate([np.zeros(0, dtype), *parts])
