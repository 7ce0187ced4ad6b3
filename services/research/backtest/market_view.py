"""The head of every report.

How much of a result is its own, and how much the market's and the cash's.

Called by backtest, showdown and walk-forward. It says in a sentence what its numbers mean.
"""

from decimal import Decimal

import msgspec
import numpy as np

from services.research.backtest.benchmark import Benchmark
from services.research.engine import market_model, performance
from services.research.engine.simulate import SimulationResult

SURE = 2.0
"""|t| beyond which chance alone explains an alpha less than once in twenty."""


class MarketModel(msgspec.Struct, frozen=True, kw_only=True):
    """Rates and alpha per year; returns and shares as shares; None where it cannot be computed.

    `matched_return` is what the benchmark would have made, held at the run's mean exposure.
    `cash_earned` is what idle cash would have earned at `cash_rate`, in dollars; the run itself
    earned nothing on it.
    """

    benchmark: str | None
    alpha: float | None
    alpha_t: float | None
    beta: float | None
    correlation: float | None
    exposure: float
    matched_return: float | None
    matched_cagr: float | None
    cash_rate: float
    cash_share: float
    cash_earned: float
    sentence: str


def market_view(
    result: SimulationResult, benchmark: Benchmark | None, cash_rate: Decimal
) -> MarketModel:
    start, sessions = result.starting_cash, result.equity.size
    returns = performance.daily_returns(result.equity, start)
    exposure, rate = performance.exposure(result), float(cash_rate)
    theirs = performance.daily_returns(benchmark.equity[:sessions], start) if benchmark else None
    model = market_model.fit(returns, theirs) if theirs is not None else None
    matched = None if theirs is None else theirs * exposure
    idle = np.maximum(result.cash, 0.0)
    alive = result.equity > 0
    return MarketModel(
        benchmark=benchmark.name if benchmark else None,
        alpha=model.alpha if model else None,
        alpha_t=model.alpha_t if model else None,
        beta=model.beta if model else None,
        correlation=model.correlation if model else None,
        exposure=exposure,
        matched_return=None if matched is None else performance.total_return(matched),
        matched_cagr=None if matched is None else performance.cagr(matched),
        cash_rate=rate,
        cash_share=float((idle[alive] / result.equity[alive]).mean()) if alive.any() else 0.0,
        cash_earned=float(idle.sum()) * rate / performance.SESSIONS_PER_YEAR,
        sentence=_sentence(model, benchmark),
    )


def _sentence(model: market_model.MarketModel | None, benchmark: Benchmark | None) -> str:
    if model is None or benchmark is None:
        return "There is nothing to compare it with, so its edge cannot be told from the market."
    size = f"alpha {model.alpha:+.1%} a year, t {model.alpha_t:+.1f}"
    if model.alpha_t >= SURE:
        return f"It beat its exposure to {benchmark.name} by more than chance explains ({size})."
    if model.alpha_t <= -SURE:
        return f"It lost against its own exposure to {benchmark.name} ({size})."
    return f"No edge over its exposure to {benchmark.name} can be seen ({size})."
