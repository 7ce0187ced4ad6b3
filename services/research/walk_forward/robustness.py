"""How far to trust a walk-forward: luck, overfitting, costs, parameter drift, stability.

Called by the walk-forward's files and report. Every number is out of sample unless its name says
otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from services.research.engine import overfitting, performance
from services.research.engine.overfitting import Band
from services.research.walk_forward.walk_forward import SLIPPAGE_LEVELS, StrategyWalk

LIKELY, UNLIKELY = 0.95, 0.5
"""The usual level of significance, and the coin toss that choosing parameters must beat."""


class ParameterDrift(msgspec.Struct, frozen=True):
    """How a parameter moved from fold to fold."""

    values: tuple[Any, ...]
    changes: int
    usual: Any
    usual_share: float


class Stability(msgspec.Struct, frozen=True):
    """Over the splits; `consistency` is the share of profitable ones."""

    mean_sharpe: float | None
    median_sharpe: float | None
    stdev_sharpe: float | None
    worst_drawdown: float
    consistency: float
    """The share of profitable splits."""


class CostLevel(msgspec.Struct, frozen=True):
    slippage_bps: str
    total_return: float
    sharpe: float | None


class Robustness(msgspec.Struct, frozen=True):
    trials: int
    deflated_sharpe: float | None
    overfitting_probability: float | None
    overfitting_splits: int
    returns_judged: int
    """Trials whose returns went into the probability of overfitting."""
    band_return: tuple[float, float, float]
    band_sharpe: tuple[float, float, float]
    band_drawdown: tuple[float, float, float]
    costs: tuple[CostLevel, ...]
    drift: dict[str, ParameterDrift]
    stability: Stability
    trained_objective: float | None
    """Mean over the folds of what the chosen set showed in training."""


def assess(walked: StrategyWalk) -> tuple[Robustness, Band]:
    """The numbers, and the band of equity curves in other orders of the same days."""
    scores, returns = walked.scores, walked.returns
    kept = [score.daily() for score in scores if score.returns is not None]
    overfit = overfitting.probability_of_overfitting(np.column_stack(kept)) if kept else None
    band = overfitting.bootstrap_band(returns)
    trained = [split.trained for split in walked.splits if split.trained is not None]
    found = Robustness(
        trials=len(scores),
        deflated_sharpe=overfitting.deflated_sharpe(
            returns, np.array([score.sharpe for score in scores])
        ),
        overfitting_probability=overfit.probability if overfit else None,
        overfitting_splits=overfit.splits if overfit else 0,
        returns_judged=len(kept),
        band_return=band.total_return,
        band_sharpe=band.sharpe,
        band_drawdown=band.max_drawdown,
        costs=tuple(_cost(walked, bps) for bps in SLIPPAGE_LEVELS),
        drift={name: _drift(walked, name) for name in walked.search.grid.values},
        stability=_stability(walked),
        trained_objective=float(np.mean(trained)) if trained else None,
    )
    return found, band


def caveats_of(name: str, found: Robustness) -> Sequence[str]:
    """The sentences a reader must see."""
    said: list[str] = []
    if found.deflated_sharpe is not None and found.deflated_sharpe < LIKELY:
        said.append(
            f"{name}: the deflated Sharpe ratio is {found.deflated_sharpe:.0%}; below "
            f"{LIKELY:.0%}, the result cannot be told from the luck of {found.trials:,} trials."
        )
    if found.overfitting_probability is not None and found.overfitting_probability >= UNLIKELY:
        said.append(
            f"{name}: with {found.overfitting_probability:.0%} probability the set that is best on "
            "one half of the time is below the median on the other: choosing parameters this way "
            "does not help."
        )
    if found.costs[-1].total_return < 0 <= found.costs[0].total_return:
        said.append(
            f"{name}: the profit is gone at {found.costs[-1].slippage_bps} bps of slippage."
        )
    return said


def _cost(walked: StrategyWalk, bps: str) -> CostLevel:
    returns = np.concatenate([split.tested.returns_by_slippage[bps] for split in walked.splits])
    return CostLevel(bps, performance.total_return(returns), performance.sharpe(returns))


def _drift(walked: StrategyWalk, name: str) -> ParameterDrift:
    values = tuple(split.values[name] for split in walked.splits)
    usual, count = Counter(values).most_common(1)[0]
    changes = sum(before != after for before, after in pairwise(values))
    return ParameterDrift(values, changes, usual, count / len(values))


def _stability(walked: StrategyWalk) -> Stability:
    metrics = [split.tested.metrics for split in walked.splits]
    ratios = [each.sharpe for each in metrics if each.sharpe is not None]
    return Stability(
        mean_sharpe=float(np.mean(ratios)) if ratios else None,
        median_sharpe=float(np.median(ratios)) if ratios else None,
        stdev_sharpe=float(np.std(ratios, ddof=1)) if len(ratios) > 1 else None,
        worst_drawdown=min(each.max_drawdown for each in metrics),
        consistency=float(np.mean([each.total_return > 0 for each in metrics])),
    )
