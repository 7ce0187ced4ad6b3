"""Positions of a gated run from entry to exit, and all of them as the simulation's trades.

Used by gated_run.py alone. Fills are those of fills.py, at the limits the gate would have approved.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from services.research.backtest.gated_candidates import EntryCandidate
from services.research.engine.outcomes import EXIT_REASONS, UNITS_PER_DOLLAR, dollars, last_close
from services.research.engine.ranking_kernels import Candidates
from services.research.engine.simulate import Trades
from shared.domain.market.bars import Panel
from shared.domain.market.simulated_quote import SPREAD
from shared.domain.trading.fills import Costs, ExitReason, exit_fill, fee, limit_fill
from shared.domain.trading.marketable_limit import limit_price
from shared.schemas.values import Direction

ENDS_AT_OPEN = frozenset({ExitReason.GAPPED_STOP})
ENDS_AT_OPEN_SLOT = frozenset({ExitReason.SIGNAL_EXIT})
ENDS_IN_BAR = frozenset({ExitReason.STOP, ExitReason.TARGET, ExitReason.ENDED})
ENDS_AT_CLOSE_SLOT = frozenset({ExitReason.TIME_STOP})
ENDS_AFTERWARDS = frozenset({ExitReason.END_OF_DATA})
APPROVED = ENDS_AT_OPEN_SLOT | ENDS_AT_CLOSE_SLOT
"""Exits the gate approves as limit orders; the others rest at the broker or are no orders."""


@dataclass(eq=False, slots=True)
class GatedPosition:
    """A position of a gated run.

    `decided_at` is the exit's price before slippage; `mark` the last price seen, in units.
    """

    index: int
    symbol: str
    strategy: str
    row: int
    side: int
    qty: int
    entered: dt.date
    opening: Decimal
    entry_price: Decimal
    entry_fee: Decimal
    exit_column: int
    decided_at: Decimal
    reason: ExitReason
    bars_held: int
    mark: int
    exit_price: Decimal = Decimal(0)
    exit_fee: Decimal = Decimal(0)

    @classmethod
    def of(
        cls,
        panel: Panel,
        ranked: Candidates,
        wish: EntryCandidate,
        price: Decimal,
        paid: Decimal,
        last: int,
    ) -> GatedPosition:
        index, row = wish.index, int(ranked.row[wish.index])
        column, decided_at, reason, bars_held = _ending(panel, ranked, index, last)
        return cls(
            index=index,
            symbol=wish.intent.symbol,
            strategy=wish.intent.strategy,
            row=row,
            side=int(ranked.side[index]),
            qty=wish.intent.qty,
            entered=panel.sessions[ranked.entry_column[index]].item(),
            opening=wish.opening,
            entry_price=price,
            entry_fee=paid,
            exit_column=column,
            decided_at=decided_at,
            reason=reason,
            bars_held=bars_held,
            mark=int(wish.opening * UNITS_PER_DOLLAR),
        )

    @property
    def direction(self) -> Direction:
        return Direction.LONG if self.side > 0 else Direction.SHORT

    @property
    def cash_of_entry(self) -> Decimal:
        return -self.side * self.qty * self.entry_price - self.entry_fee

    @property
    def cash_of_exit(self) -> Decimal:
        return self.side * self.qty * self.exit_price - self.exit_fee

    def fill_exit(self, costs: Costs) -> None:
        """Fill at the price decided on, less slippage; an approved order never beyond its limit."""
        closing = self.direction.closes_with
        price = exit_fill(self.decided_at, self.reason, self.direction, costs)
        if self.reason in APPROVED:
            limit = limit_price(self.decided_at, self.decided_at - SPREAD, closing)
            price = limit_fill(self.decided_at, limit, closing, costs.slippage_bps) or price
        self.exit_price, self.exit_fee = price, fee(self.qty, price, closing, costs)


def _ending(
    panel: Panel, ranked: Candidates, index: int, last: int
) -> tuple[int, Decimal, ExitReason, int]:
    """The exit the kernels found, cut at the window's last close."""
    row = int(ranked.row[index])
    if ranked.exit_column[index] <= last:
        reason = EXIT_REASONS[ranked.exit_kind[index]]
        column, price = int(ranked.exit_column[index]), dollars(int(ranked.exit_price[index]))
        return column, price, reason, int(ranked.bars_held[index])
    _, price = last_close(panel, row, last)
    own = panel.close[row, ranked.entry_column[index] : last + 1]
    return last, price, ExitReason.END_OF_DATA, int(np.count_nonzero(~np.isnan(own)))


def as_trades(position: Sequence[GatedPosition], ranked: Candidates) -> Trades:
    """In order of entry, as the simulation has them."""
    index = np.array([each.index for each in position], np.int64)

    def column(values: list[Any], dtype: Any) -> Any:
        return np.array(values, dtype)

    return Trades(
        strategy=ranked.strategy[index],
        signal=ranked.signal[index],
        row=ranked.row[index],
        side=ranked.side[index],
        qty=column([each.qty for each in position], np.int64),
        entry_column=ranked.entry_column[index],
        entry_price=column([float(each.entry_price) for each in position], np.float64),
        exit_column=column([each.exit_column for each in position], np.int64),
        exit_price=column([float(each.exit_price) for each in position], np.float64),
        exit_kind=column([EXIT_REASONS.index(each.reason) for each in position], np.int64),
        bars_held=column([each.bars_held for each in position], np.int64),
        pnl=column(
            [float(each.cash_of_entry + each.cash_of_exit) for each in position], np.float64
        ),
        costs=column([float(_costs(each)) for each in position], np.float64),
        fees=column([float(each.entry_fee + each.exit_fee) for each in position], np.float64),
    )


def _costs(each: GatedPosition) -> Decimal:
    slippage = abs(each.entry_price - each.opening) + abs(each.exit_price - each.decided_at)
    return slippage * each.qty + each.entry_fee + each.exit_fee
