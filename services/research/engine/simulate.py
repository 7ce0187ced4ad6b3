"""The simulation: which signals are taken with shared cash, at what cost, to what equity.

Called by the research commands and their workers. Exact: the kernels count in whole cents and
ten-thousandths of a dollar, and floats appear only in the result. It finds no signals and writes no
reports.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.research.engine.outcomes import EXIT_REASONS, UNITS_PER_DOLLAR, outcomes, rank
from services.research.engine.portfolio_kernels import (
    BARS_HELD,
    CANDIDATE,
    ENTRY_CENTS,
    EXIT_CENTS,
    EXIT_COLUMN,
    EXIT_KIND,
    EXIT_PRICE,
    FEES,
    QTY,
    TAKEN,
    Terms,
    Window,
    portfolio_pass,
)
from services.research.engine.ranking_kernels import Candidates
from shared.domain.arrays.jit import read_only
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.domain.trading.fills import Costs

METHODS = (SizingMethod.CASH_FRACTION, SizingMethod.BUDGET, SizingMethod.RISK_FRACTION)
CENTS_PER_DOLLAR = 100
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class SkipReason(StrEnum):
    """Why a signal was not taken, in the order in which it is asked."""

    NO_BAR = "no_bar"
    UNTRADABLE = "untradable"
    INVALIDATED_AT_OPEN = "invalidated_at_open"
    SYMBOL_HELD = "symbol_held"
    SHORTS_DISABLED = "shorts_disabled"
    SIZE_ZERO = "size_zero"
    INSUFFICIENT_CASH = "insufficient_cash"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationSettings:
    """What the account starts with and how it trades."""

    cash: Decimal = Decimal(100_000)
    sizing: Sizing = field(default_factory=Sizing)
    costs: Costs = field(default_factory=Costs)
    allow_shorts: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Round trips in order of entry, aligned arrays; money in dollars, exact to the cent.

    `strategy` is a place in `SimulationResult.strategies`, `signal` a row of that strategy's table,
    `exit_kind` a place in `EXIT_REASONS`. `pnl` is after all costs; `costs` is slippage, rounding
    and fees, `fees` a part of it.
    """

    strategy: NDArray[np.int16]
    signal: Ints
    row: NDArray[np.int32]
    side: NDArray[np.int8]
    qty: Ints
    entry_column: NDArray[np.int32]
    entry_price: Floats
    exit_column: Ints
    exit_price: Floats
    exit_kind: Ints
    bars_held: Ints
    pnl: Floats
    costs: Floats
    fees: Floats

    def __len__(self) -> int:
        return int(self.qty.size)

    def reasons(self) -> list[str]:
        """Why each trade ended."""
        return [EXIT_REASONS[kind] for kind in self.exit_kind]


@dataclass(frozen=True, slots=True, eq=False)
class SimulationResult:
    """One window: its trades, and equity, spendable cash and gross value at each close.

    A short locks its proceeds and an equal deposit until it is covered, so `cash` is what may be
    spent.
    """

    strategies: tuple[str, ...]
    sessions: NDArray[np.datetime64]
    starting_cash: float
    trades: Trades
    equity: Floats
    cash: Floats
    gross: Floats
    skipped: Mapping[str, int]
    """Signals not taken, by SkipReason; of a policy pass by the gate's first reason."""

    @property
    def is_ruined(self) -> bool:
        """Whether the run ended because nothing was left."""
        return bool(self.equity[-1] <= 0)


def simulate(
    panel: Panel,
    tables: Sequence[tuple[str, SignalTable]],
    settings: SimulationSettings,
    window: Window | None = None,
) -> SimulationResult:
    """The strategies, in the order given, over one window of the panel (all of it by default)."""
    ranked = rank(panel, [outcomes(panel, name, table) for name, table in tables])
    return run_portfolio(panel, tuple(name for name, _ in tables), ranked, settings, window)


def run_portfolio(
    panel: Panel,
    strategies: tuple[str, ...],
    ranked: Candidates,
    settings: SimulationSettings,
    window: Window | None = None,
) -> SimulationResult:
    """One portfolio pass on ranked outcomes; cheap, so a walk-forward calls it once a window.

    The window starts flat with `settings.cash` and is closed at its last close (`end_of_data`), or
    at the close of the session in which equity falls to zero: that is ruin, and the run ends.
    """
    window = window_between(panel, 0, panel.sessions.size - 1) if window is None else window
    log, curves, skipped = portfolio_pass(read_only(panel.close), ranked, _terms(settings), window)
    ruined = first_ruin(curves.equity)
    if ruined is not None and ruined < curves.equity.size - 1:
        until = window._replace(last=window.first + ruined)
        return run_portfolio(panel, strategies, ranked, settings, until)
    return SimulationResult(
        strategies=strategies,
        sessions=panel.sessions[window.first : window.last + 1],
        starting_cash=float(settings.cash),
        trades=_trades(ranked, log),
        equity=curves.equity / UNITS_PER_DOLLAR,
        cash=curves.cash / UNITS_PER_DOLLAR,
        gross=curves.gross / UNITS_PER_DOLLAR,
        skipped=dict(zip(SkipReason, skipped[TAKEN + 1 :].tolist(), strict=True)),
    )


def with_slippage(settings: SimulationSettings, bps: str) -> SimulationSettings:
    """The same terms at other basis points of slippage."""
    return replace(settings, costs=replace(settings.costs, slippage_bps=Decimal(bps)))


def first_ruin(equity: NDArray[Any]) -> int | None:
    """The place of the first equity at or below zero, or None."""
    ruined = np.flatnonzero(equity <= 0)
    return int(ruined[0]) if ruined.size else None


def equity_of(
    panel: Panel, ranked: Candidates, settings: SimulationSettings, window: Window
) -> Floats:
    """The equity alone of such a run: enough to compare many parameter sets by.

    After ruin it stays as it was then.
    """
    _, curves, _ = portfolio_pass(read_only(panel.close), ranked, _terms(settings), window)
    equity = curves.equity / UNITS_PER_DOLLAR
    ruined = first_ruin(equity)
    if ruined is not None:
        equity[ruined:] = equity[ruined]
    return equity


def window_between(
    panel: Panel, first: int, last: int, *, signals_from: int | None = None
) -> Window:
    """The window of sessions `first` to `last` (columns, both within it).

    Signals count from session `first`, so the earliest entry is at `first + 1`; `signals_from=first
    - 1` lets the window's first open fill the signals of the close before it.
    """
    if not 0 <= first <= last < panel.sessions.size:
        raise UserError(
            f"sessions {first} to {last} do not lie within the {panel.sessions.size} of the bars"
        )
    return Window(first, last, first if signals_from is None else signals_from)


def _terms(settings: SimulationSettings) -> Terms:
    costs, sizing = settings.costs, settings.sizing
    on = 1 if costs.commissions else 0
    digits = 2 if sizing.method is SizingMethod.BUDGET else 6
    return Terms(
        cash=_scale("cash", settings.cash, 2),
        method=METHODS.index(sizing.method),
        value=_scale(f"the sizing {sizing.method}", sizing.value, digits),
        slippage=_scale("slippage in basis points", costs.slippage_bps, 3),
        buy_per_share=on * _scale("commission per share", costs.commission_per_share, 9),
        sell_per_share=on
        * _scale("costs per share sold", costs.commission_per_share + costs.taf_per_share, 9),
        sell_rate=on * _scale("SEC fee", costs.sec_fee_rate, 9),
        allow_shorts=settings.allow_shorts,
    )


def _scale(name: str, value: Decimal, digits: int) -> int:
    scaled = value.scaleb(digits)
    if scaled != int(scaled):
        raise UserError(f"{name} is given to at most {digits} decimals, not {value}")
    return int(scaled)


def _trades(ranked: Candidates, log: Ints) -> Trades:
    index, qty, side = log[:, CANDIDATE], log[:, QTY], ranked.side[log[:, CANDIDATE]]
    bought, sold, fees = log[:, ENTRY_CENTS], log[:, EXIT_CENTS], log[:, FEES]
    slippage = np.abs(bought * 100 - ranked.opening[index]) + np.abs(
        sold * 100 - log[:, EXIT_PRICE]
    )
    return Trades(
        strategy=ranked.strategy[index],
        signal=ranked.signal[index],
        row=ranked.row[index],
        side=side,
        qty=qty,
        entry_column=ranked.entry_column[index],
        entry_price=bought / CENTS_PER_DOLLAR,
        exit_column=log[:, EXIT_COLUMN],
        exit_price=sold / CENTS_PER_DOLLAR,
        exit_kind=log[:, EXIT_KIND],
        bars_held=log[:, BARS_HELD],
        pnl=(side * (sold - bought) * qty - fees) / CENTS_PER_DOLLAR,
        costs=(slippage * qty + fees * 100) / UNITS_PER_DOLLAR,
        fees=fees / CENTS_PER_DOLLAR,
    )
