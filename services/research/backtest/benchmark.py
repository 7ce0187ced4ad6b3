"""What buying once and holding would have made of the same money over the same sessions.

Called by the backtest and the reports. Without costs and dividends; it says what it is made of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.research.data.dataset import INDEX, Market
from services.research.engine import performance

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """`equity` at each close of the window; None where nothing could have been bought on its first session."""

    name: str
    equity: Floats


def benchmark(market: Market, first: int, last: int, cash: float) -> Benchmark | None:
    """SPY where the bars have it, else every symbol of the universe in equal parts; bought at the first close."""
    if market.index is not None and not np.isnan(market.index[first]):
        return Benchmark(
            f"{INDEX} buy and hold", cash * _grown(market.index[None, first : last + 1])[0]
        )
    closes = market.panel.close[:, first : last + 1]
    there = ~np.isnan(closes[:, 0])
    if not there.any():
        return None
    count = int(there.sum())
    name = (
        f"{count} symbols in equal parts, bought and held"
        if count > 1
        else f"{_only(market, there)} buy and hold"
    )
    return Benchmark(name, cash * _grown(closes[there]).mean(axis=0))


def facts(held: Benchmark, cash: float) -> dict[str, object]:
    """Its numbers beside those of the run."""
    returns = performance.daily_returns(held.equity, cash)
    return {
        "name": held.name,
        "end_equity": float(held.equity[-1]),
        "total_return": performance.total_return(returns),
        "cagr": performance.cagr(returns),
        "sharpe": performance.sharpe(returns),
        "volatility": performance.volatility(returns),
        "max_drawdown": float(performance.drawdown(returns).min()),
    }


def _grown(closes: Floats) -> Floats:
    """Closes as multiples of the first; a session without a bar keeps the last close."""
    known = np.where(np.isnan(closes), 0, np.arange(closes.shape[1]))
    last_known = np.maximum.accumulate(known, axis=1)
    grown: Floats = np.take_along_axis(closes, last_known, axis=1) / closes[:, :1]
    return grown


def _only(market: Market, there: NDArray[np.bool_]) -> str:
    return market.panel.symbols[int(np.flatnonzero(there)[0])]
