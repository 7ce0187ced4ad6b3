"""How far to trust a walk-forward: luck, overfitting, costs, parameter drift, stability.

Called by the walk-forward's files and report. Every number is out of sample unless its name says
otherwise.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest.costs import SLIPPAGE_LEVELS, CostLevel, break_even, cost_level
from services.research.engine import overfitting
from services.research.engine.overfitting import Band, Overfitting
from services.research.walk_forward.tasks import Score
from services.research.walk_forward.walk_forward import AccountWalk

Floats = NDArray[np.float64]
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


def assess(walked: AccountWalk, trial_sharpes: Floats) -> tuple[Robustness, Band]:
    """The numbers, and the band of equity curves in other orders of the same days.

    `trial_sharpes` are those of every trial of the run, per session, whoever's they are: the luck
    of the best of them is the luck of the run. Of several grids the one most overfit counts.
    """
    returns = walked.returns
    overfit = [each for grid in walked.scores if (each := _overfitting(grid))]
    worst = max(overfit, key=lambda each: each.probability, default=None)
    band = overfitting.bootstrap_band(returns)
    trained = [split.trained for split in walked.splits if split.trained is not None]
    found = Robustness(
        trials=trial_sharpes.size,
        deflated_sharpe=overfitting.deflated_sharpe(returns, trial_sharpes),
        overfitting_probability=worst.probability if worst else None,
        overfitting_splits=worst.splits if worst else 0,
        returns_judged=sum(score.returns is not None for grid in walked.scores for score in grid),
        band_return=band.total_return,
        band_sharpe=band.sharpe,
        band_drawdown=band.max_drawdown,
        costs=tuple(_cost(walked, bps) for bps in SLIPPAGE_LEVELS),
        drift={name: _drift(walked, name) for name in walked.account.tried},
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
    said += [f"{name}: {sentence}" for sentence in [break_even(found.costs)] if sentence]
    return said


def _overfitting(scores: Sequence[Score]) -> Overfitting | None:
    kept = [score.daily() for score in scores if score.returns is not None]
    return overfitting.probability_of_overfitting(np.column_stack(kept)) if kept else None


def _cost(walked: AccountWalk, bps: str) -> CostLevel:
    return cost_level(
        bps, np.concatenate([split.tested.returns_by_slippage[bps] for split in walked.splits])
    )


def _drift(walked: AccountWalk, name: str) -> ParameterDrift:
    values = tuple(split.values[name] for split in walked.splits)
    usual, count = Counter(values).most_common(1)[0]
    changes = sum(before != after for before, after in pairwise(values))
    return ParameterDrift(values, changes, usual, count / len(values))


def _stability(walked: AccountWalk) -> Stability:
    metrics = [split.tested.metrics for split in walked.splits]
    ratios = [each.sharpe for each in metrics if each.sharpe is not None]
    return Stability(
        mean_sharpe=float(np.mean(ratios)) if ratios else None,
        median_sharpe=float(np.median(ratios)) if ratios else None,
        stdev_sharpe=float(np.std(ratios, ddof=1)) if len(ratios) > 1 else None,
        worst_drawdown=min(each.max_drawdown for each in metrics),
        consistency=float(np.mean([each.total_return > 0 for each in metrics])),
    )
