"""Buy and hold over the sessions of a run, with the same cash.

Called by the backtest and the reports. Without costs and dividends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.research.data.dataset import INDEX, Dataset
from services.research.engine import performance
from services.research.engine.outcomes import INDEX_MARK

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """A named equity curve: one value at each close of the window, in dollars."""

    name: str
    equity: Floats


def benchmark(market: Dataset, first: int, last: int, cash: float) -> Benchmark | None:
    """SPY where the bars have it, else every symbol in equal parts; bought at the first close.

    None if no symbol has a bar on the first session.
    """
    if market.index is not None and not np.isnan(market.index[first]):
        return Benchmark(
            f"{INDEX} buy and hold", cash * _growth(market.index[None, first : last + 1])[0]
        )
    closes = market.panel.close[:, first : last + 1]
    tradable = np.array([not symbol.startswith(INDEX_MARK) for symbol in market.panel.symbols])
    present = tradable & ~np.isnan(closes[:, 0])
    if not present.any():
        return None
    count = int(present.sum())
    name = (
        f"{count} symbols in equal parts, bought and held"
        if count > 1
        else f"{_single_symbol(market, present)} buy and hold"
    )
    return Benchmark(name, cash * _growth(closes[present]).mean(axis=0))


def benchmark_metrics(held: Benchmark, cash: float) -> dict[str, object]:
    """The benchmark's metrics, under the names that a run's metrics have."""
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


def _growth(closes: Floats) -> Floats:
    """Closes as multiples of the first; a session without a bar keeps the last close."""
    known = np.where(np.isnan(closes), 0, np.arange(closes.shape[1]))
    last_known = np.maximum.accumulate(known, axis=1)
    grown: Floats = np.take_along_axis(closes, last_known, axis=1) / closes[:, :1]
    return grown


def _single_symbol(market: Dataset, present: NDArray[np.bool_]) -> str:
    return market.panel.symbols[int(np.flatnonzero(present)[0])]
