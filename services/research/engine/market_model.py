"""How much of a result is the market's: alpha, beta, correlation; numpy only.

Called by the reports' heads. Ordinary least squares of daily returns on the benchmark's, rf = 0.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from services.research.engine.performance import SESSIONS_PER_YEAR

Floats = NDArray[np.float64]
FEWEST = 60
"""Sessions: with less than a quarter a slope says nothing."""


@dataclass(frozen=True, slots=True)
class MarketModel:
    """`alpha` per year, `alpha_t` its t statistic; beyond ±2 chance alone is unlikely."""

    alpha: float
    alpha_t: float
    beta: float
    correlation: float


def fit(returns: Floats, benchmark: Floats) -> MarketModel | None:
    """None with too few sessions, or where either never moved. Both (sessions,), per session."""
    count = min(returns.size, benchmark.size)
    ours, theirs = returns[:count], benchmark[:count]
    if count < FEWEST or ours.std() == 0 or theirs.std() == 0:
        return None
    spread = theirs - theirs.mean()
    squares = float(spread @ spread)
    beta = float(spread @ (ours - ours.mean())) / squares
    alpha = float(ours.mean() - beta * theirs.mean())
    errors = ours - alpha - beta * theirs
    variance = float(errors @ errors) / (count - 2)
    error = sqrt(variance * (1 / count + float(theirs.mean()) ** 2 / squares))
    return MarketModel(
        alpha=alpha * SESSIONS_PER_YEAR,
        alpha_t=alpha / error if error > 0 else 0.0,
        beta=beta,
        correlation=float(np.corrcoef(ours, theirs)[0, 1]),
    )
