"""How much of a result may be luck: deflated Sharpe, overfitting, bootstrap bands.

Called by walk-forward and Monte Carlo. numpy only; every draw follows from a given seed. Sources:
Bailey and López de Prado (2014), Bailey, Borwein, López de Prado and Zhu (2016), Politis and Romano
(1994).
"""

from dataclasses import dataclass
from itertools import combinations
from math import e, sqrt
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.research.engine.performance import SESSIONS_PER_YEAR

EULER_GAMMA = 0.5772156649015329
SPLITS_AT_ONCE = 1_000
"""Keeps (splits, trials) arrays of a big grid within a few megabytes."""
Floats = NDArray[np.float64]
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Overfitting:
    """The probability that the best in sample falls below the median out of sample.

    Over `splits` ways to halve the time; `logits` of its out-of-sample rank, one a split (at or
    below 0 is overfit).
    """

    probability: float
    splits: int
    logits: Floats


@dataclass(frozen=True, slots=True)
class Band:
    """(low, middle, high) over the resampled histories; `equity` (3, sessions) starts from 1."""

    total_return: Triple
    sharpe: Triple
    max_drawdown: Triple
    equity: Floats


def expected_best_sharpe(trial_sharpes: Floats) -> float:
    """The per-session Sharpe ratio that the best of so many worthless trials would show by luck."""
    trials = trial_sharpes.size
    if trials < 2:
        return 0.0
    normal = NormalDist()
    luck = (1 - EULER_GAMMA) * normal.inv_cdf(1 - 1 / trials) + EULER_GAMMA * normal.inv_cdf(
        1 - 1 / (trials * e)
    )
    return float(trial_sharpes.std(ddof=1)) * luck


def probabilistic_sharpe(
    ratio: float, beyond: float, sessions: int, skew: float, kurtosis: float
) -> float | None:
    """Probability that the true Sharpe ratio exceeds `beyond`, both per session.

    `kurtosis` is 3 for a normal distribution. None if the variance is not positive.
    """
    variance = 1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2
    return (
        NormalDist().cdf((ratio - beyond) * sqrt((sessions - 1) / variance))
        if variance > 0
        else None
    )


def deflated_sharpe(returns: Floats, trial_sharpes: Floats) -> float | None:
    """Probability that the true Sharpe ratio beats what the best of the trials would show by luck.

    `returns` (sessions,) are the chosen trial's; `trial_sharpes` are per session, not annualised,
    of all trials. None without movement.
    """
    spread = float(returns.std(ddof=1)) if returns.size > 1 else 0.0
    if spread == 0:
        return None
    standard = (returns - returns.mean()) / returns.std()
    skew, kurtosis = float(np.mean(standard**3)), float(np.mean(standard**4))
    ratio, luck = float(returns.mean()) / spread, expected_best_sharpe(trial_sharpes)
    return probabilistic_sharpe(ratio, luck, returns.size, skew, kurtosis)


def probability_of_overfitting(returns: Floats, *, blocks: int = 16) -> Overfitting | None:
    """Combinatorially symmetric cross-validation by Sharpe ratio over `returns` (sessions, trials).

    None with fewer than two trials, or too few sessions for two per block. `blocks` must be even.
    """
    sessions, trials = returns.shape
    if blocks % 2 or blocks < 2:
        raise ValueError(f"{blocks} blocks cannot be halved")
    if trials < 2 or sessions < 2 * blocks:
        return None
    edges = np.linspace(0, sessions, blocks + 1).astype(np.int64)[:-1]
    lengths = np.diff(np.append(edges, sessions)).astype(np.float64)
    sums, squares = np.add.reduceat(returns, edges), np.add.reduceat(returns**2, edges)
    halves = np.array(list(combinations(range(blocks), blocks // 2)))
    logits = np.concatenate(
        [
            _logits(part, lengths, sums, squares)
            for part in np.array_split(halves, len(halves) // SPLITS_AT_ONCE + 1)
        ]
    )
    return Overfitting(float((logits <= 0).mean()), len(halves), logits)


def _logits(halves: NDArray[np.int64], lengths: Floats, sums: Floats, squares: Floats) -> Floats:
    """Log odds of the out-of-sample rank of each half's best trial."""
    chosen = np.zeros((len(halves), lengths.size))
    np.put_along_axis(chosen, halves, 1.0, axis=1)
    inside, outside = (_sharpes(mask, lengths, sums, squares) for mask in (chosen, 1.0 - chosen))
    best = np.take_along_axis(outside, inside.argmax(axis=1)[:, None], axis=1)
    below, level = (outside < best).sum(axis=1), (outside == best).sum(axis=1)
    rank = (below + (level + 1) / 2) / (outside.shape[1] + 1)
    logits: Floats = np.log(rank / (1.0 - rank))
    return logits


def _sharpes(mask: Floats, lengths: Floats, sums: Floats, squares: Floats) -> Floats:
    """(splits, trials): Sharpe ratio per session over a split's blocks; 0 without movement."""
    count = (mask @ lengths)[:, None]
    mean = mask @ sums / count
    variance = np.maximum(mask @ squares / count - mean**2, 0.0) * count / (count - 1)
    return np.divide(mean, np.sqrt(variance), out=np.zeros_like(mean), where=variance > 1e-18)


def stationary_bootstrap(
    length: int, *, samples: int, mean_block: float, seed: int
) -> NDArray[np.int64]:
    """(samples, length) places to draw from: runs of geometric length, wrapping around the end."""
    if length < 1 or samples < 1 or mean_block < 1:
        raise ValueError(
            "a bootstrap needs something to draw from, samples, and blocks of at least 1"
        )
    draws = np.random.default_rng(seed)
    jumps = draws.random((samples, length)) < 1.0 / mean_block
    jumps[:, 0] = True
    starts = draws.integers(0, length, (samples, length))
    here = np.arange(length)
    begun = np.maximum.accumulate(np.where(jumps, here, 0), axis=1)
    return (np.take_along_axis(starts, begun, axis=1) + here - begun) % length


def bootstrap_band(
    returns: Floats,
    *,
    samples: int = 1_000,
    mean_block: float = 20.0,
    seed: int = 81,
    level: float = 0.9,
) -> Band:
    """The middle `level` of what the same days in other orders would have given."""
    drawn = returns[
        stationary_bootstrap(returns.size, samples=samples, mean_block=mean_block, seed=seed)
    ]
    grown = np.cumprod(1.0 + drawn, axis=1)
    falls = grown / np.maximum(np.maximum.accumulate(grown, axis=1), 1.0) - 1.0
    spread = drawn.std(axis=1, ddof=1) if returns.size > 1 else np.zeros(samples)
    ratios = np.divide(drawn.mean(axis=1), spread, out=np.zeros(samples), where=spread > 0)
    cuts = [(1 - level) / 2, 0.5, (1 + level) / 2]
    return Band(
        _triple(grown[:, -1] - 1.0, cuts),
        _triple(ratios * sqrt(SESSIONS_PER_YEAR), cuts),
        _triple(falls.min(axis=1), cuts),
        np.quantile(grown, cuts, axis=0),
    )


def _triple(values: NDArray[np.floating[Any]], cuts: list[float]) -> Triple:
    low, middle, high = np.quantile(values, cuts)
    return float(low), float(middle), float(high)
