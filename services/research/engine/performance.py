"""The metrics of an equity curve and its round trips, as every report shows them.

Called by research commands; numpy only. 252 sessions a year, risk-free rate 0, drawdowns as
negative shares. A number that cannot be computed (no trades, no losses, no movement) is None, never
infinite and never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from services.research.engine.simulate import SimulationResult, Trades

SESSIONS_PER_YEAR = 252
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PerformanceMetrics:
    """Money in dollars, returns and drawdowns as shares, holds in bars, turnover per year."""

    sessions: int
    start_equity: float
    end_equity: float
    total_return: float
    cagr: float
    sharpe: float | None
    sortino: float | None
    volatility: float | None
    max_drawdown: float
    average_drawdown: float
    longest_drawdown: int
    calmar: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    average_win: float | None
    average_loss: float | None
    average_hold: float | None
    exposure: float
    turnover: float
    costs: float


def measure(result: SimulationResult) -> PerformanceMetrics:
    """All metrics of one simulated window; a ruined one has no ratios."""
    equity, trades = result.equity, result.trades
    returns = daily_returns(equity, result.starting_cash)
    falls = drawdown(returns)
    average, longest = drawdown_episodes(falls)
    total, ruined = total_return(returns), result.is_ruined
    wins, losses = trades.pnl[trades.pnl > 0], trades.pnl[trades.pnl < 0]
    return PerformanceMetrics(
        sessions=equity.size,
        start_equity=result.starting_cash,
        end_equity=float(equity[-1]),
        total_return=total,
        cagr=cagr(returns),
        sharpe=None if ruined else sharpe(returns),
        sortino=None if ruined else sortino(returns),
        volatility=None if ruined else volatility(returns),
        max_drawdown=float(falls.min()),
        average_drawdown=average,
        longest_drawdown=longest,
        calmar=None if ruined else calmar(returns),
        trades=len(trades),
        win_rate=wins.size / len(trades) if len(trades) else None,
        profit_factor=profit_factor(trades.pnl),
        expectancy=_mean(trades.pnl),
        average_win=_mean(wins),
        average_loss=_mean(losses),
        average_hold=_mean(trades.bars_held.astype(np.float64)),
        exposure=exposure(result),
        turnover=turnover(trades, equity),
        costs=float(trades.costs.sum()),
    )


def daily_returns(equity: Floats, start: float) -> Floats:
    """One return per session; the first is against the money the window started with.

    After ruin there is nothing left to earn a return on: 0.
    """
    before = np.concatenate([[start], equity[:-1]])
    alive = before > 0
    returns: Floats = np.divide(equity, before, out=np.ones_like(before), where=alive) - 1.0
    return returns


def total_return(returns: Floats) -> float:
    """The compounded return of the whole."""
    return float(np.prod(1.0 + returns) - 1.0)


def cagr(returns: Floats) -> float:
    """The yearly growth that would have given the same end; -1 when all is lost."""
    grown = 1.0 + total_return(returns)
    return float(grown ** (SESSIONS_PER_YEAR / returns.size) - 1.0) if grown > 0 else -1.0


def volatility(returns: Floats) -> float | None:
    """Yearly standard deviation (ddof 1)."""
    return float(returns.std(ddof=1) * np.sqrt(SESSIONS_PER_YEAR)) if returns.size > 1 else None


def sharpe(returns: Floats) -> float | None:
    """Mean over standard deviation (ddof 1), per year; None without movement."""
    spread = volatility(returns)
    return float(returns.mean() * SESSIONS_PER_YEAR / spread) if spread else None


def sortino(returns: Floats) -> float | None:
    """Mean over downside deviation against 0, per year; None without a loss."""
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
    return float(returns.mean() / downside * np.sqrt(SESSIONS_PER_YEAR)) if downside > 0 else None


def drawdown(returns: Floats) -> Floats:
    """Per session how far below the highest equity so far, the start included: 0 or negative."""
    grown = np.cumprod(1.0 + returns)
    falls: Floats = grown / np.maximum(np.maximum.accumulate(grown), 1.0) - 1.0
    return falls


def drawdown_episodes(falls: Floats) -> tuple[float, int]:
    """(mean of the deepest points, longest in sessions) of the stretches spent below a high."""
    under = np.concatenate([[False], falls < 0, [False]])
    edges = np.flatnonzero(under[1:] != under[:-1])
    begins, ends = edges[::2], edges[1::2]
    if begins.size == 0:
        return 0.0, 0
    return float(np.minimum.reduceat(np.append(falls, 0.0), begins).mean()), int(
        (ends - begins).max()
    )


def calmar(returns: Floats) -> float | None:
    """Yearly growth over the deepest drawdown; None without one."""
    deepest = float(drawdown(returns).min())
    return cagr(returns) / -deepest if deepest < 0 else None


def return_over_drawdown(returns: Floats) -> float | None:
    """Total return over the deepest drawdown; None without one."""
    deepest = float(drawdown(returns).min())
    return total_return(returns) / -deepest if deepest < 0 else None


def profit_factor(pnl: Floats) -> float | None:
    """Gains over losses; None without losses, or without trades."""
    lost = -float(pnl[pnl < 0].sum())
    return float(pnl[pnl > 0].sum()) / lost if lost > 0 else None


def exposure(result: SimulationResult) -> float:
    """Mean over sessions of gross market value over equity, at the close."""
    alive = result.equity > 0
    return float((result.gross[alive] / result.equity[alive]).mean()) if alive.any() else 0.0


def turnover(trades: Trades, equity: Floats) -> float:
    """Half of all that was bought and sold, over mean equity, per year."""
    traded = float((trades.qty * (trades.entry_price + trades.exit_price)).sum()) / 2
    mean = float(equity.mean())
    return traded / mean * SESSIONS_PER_YEAR / equity.size if mean > 0 else 0.0


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None
