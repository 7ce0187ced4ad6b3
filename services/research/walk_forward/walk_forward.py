"""Walk-forward: choose parameters on the past, trade what comes next, stitch the windows.

Called by `kobe walk-forward`; a runner does the work, in threads here or on a queue. The same
inputs give the same results wherever the work was done. It prints nothing and writes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.data.dataset import Dataset, columns
from services.research.data.inputs import Inputs
from services.research.engine.performance import daily_returns
from services.research.engine.simulate import SimulationResult, Trades
from services.research.strategy_check.selection import (
    SelectedStrategy,
    StrategyShelf,
    refuse_too_short,
)
from services.research.walk_forward.folds import Fold, folds
from services.research.walk_forward.grids import Grid, grid_of
from services.research.walk_forward.tasks import (
    Result,
    Score,
    ScoreResult,
    ScoreTask,
    Task,
    WindowResult,
    WindowTask,
    task_key,
)
from services.research.walk_forward.trials import to_simulation_result, with_parameters
from shared.runtime.config.settings import Settings

TASKS = 500
FEWEST_POINTS = 4
"""A grid is scored in at most so many tasks, of at least so many points: few, but cancellable."""
RETURNS_KEPT = 1_000
"""Trials whose daily returns judge overfitting; more would cost memory and change little."""
SLIPPAGE_LEVELS = ("0", "5", "10", "20")
BEST_LAST = -np.inf

Runner = Callable[[Sequence[Task]], list[Result]]
"""Does the tasks, in whatever order, and gives their results back in the order of the tasks."""


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """The request: windows in sessions, and per strategy the values to try."""

    inputs: Inputs
    train: int
    test: int
    anchored: bool
    objective: str
    grids: dict[str, dict[str, tuple[bool | int | float, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class GridSearch:
    """One strategy with its grid, alone in the account."""

    selected: SelectedStrategy
    inputs: Inputs
    grid: Grid

    @property
    def name(self) -> str:
        return self.selected.name


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything to do, before any of it is done."""

    request: WalkForward
    market: Dataset
    folds: tuple[Fold, ...]
    searches: tuple[GridSearch, ...]
    settings: Settings
    shelf: StrategyShelf

    @property
    def trials(self) -> int:
        return sum(search.grid.size for search in self.searches)

    @property
    def steps(self) -> int:
        """Parameter sets to score plus windows to trade."""
        return self.trials + len(self.searches) * len(self.folds)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One fold of one strategy."""

    fold: Fold
    point: int
    values: dict[str, Any]
    trained: float | None
    """The objective in training."""
    inputs: Inputs
    tested: WindowResult
    result: SimulationResult


@dataclass(frozen=True, slots=True, eq=False)
class StrategyWalk:
    """One strategy's folds, the scores of its whole grid, and the stitched result.

    Each window starts with the same cash; its returns are compounded onto those before.
    """

    search: GridSearch
    scores: tuple[Score, ...]
    splits: tuple[Split, ...]
    stitched: SimulationResult

    @property
    def returns(self) -> NDArray[np.float64]:
        """Out of sample, one per session."""
        return daily_returns(self.stitched.equity, self.stitched.starting_cash)


def plan(request: WalkForward, market: Dataset, settings: Settings) -> Plan:
    """The plan. Raises UserError if a name is unknown, a grid impossible, or bars too few."""
    shelf = StrategyShelf()
    selected = shelf.select(request.inputs)
    first, last = columns(market.panel, request.inputs.start, request.inputs.end)
    refuse_too_short(market.panel, selected, last)
    cut = folds(first, last, train=request.train, test=request.test, anchored=request.anchored)
    searches = tuple(
        GridSearch(
            each,
            msgspec.structs.replace(request.inputs, strategies=(given,)),
            grid_of(each.strategy, given.parameters, request.grids.get(each.name, {})),
        )
        for each, given in zip(selected, request.inputs.strategies, strict=True)
    )
    return Plan(request, market, cut, searches, settings, shelf)


def walk(plan: Plan, runner: Runner) -> tuple[StrategyWalk, ...]:
    """Score every grid, choose per fold, trade the chosen sets."""
    training = [score_tasks(plan, search) for search in plan.searches]
    trained = iter(runner(list(chain.from_iterable(training))))
    scores = [_scores([next(trained) for _ in tasks]) for tasks in training]
    places = range(len(plan.folds))
    points = [[best(found, place) for place in places] for found in scores]
    # By chosen set, so that neighbours share their signals.
    testings = {
        (which, place): _window_task(plan, search, points[which][place], fold)
        for which, search in enumerate(plan.searches)
        for place, fold in enumerate(plan.folds)
    }
    order = sorted(testings, key=lambda at: (at[0], points[at[0]][at[1]], at[1]))
    tested = dict(zip(order, runner([testings[at] for at in order]), strict=True))
    return tuple(
        _assemble(
            plan,
            search,
            scores[which],
            points[which],
            [tested[which, place] for place in range(len(plan.folds))],
        )
        for which, search in enumerate(plan.searches)
    )


def best(scores: Sequence[Score], fold: int) -> int:
    """The point with the best training objective in that fold; the first of equals."""
    values = [score.objective[fold] for score in scores]
    return int(np.argmax([BEST_LAST if value is None else value for value in values]))


def run_id(plan: Plan) -> str:
    """The keys of its tasks stand for inputs, bars and code."""
    keys = [task_key(task) for search in plan.searches for task in score_tasks(plan, search)]
    return hashlib.sha256("".join(keys).encode()).hexdigest()[:20]


def score_tasks(plan: Plan, search: GridSearch) -> list[ScoreTask]:
    """The scoring of a strategy's grid, cut the same way wherever it is done."""
    size = search.grid.size
    points = max(FEWEST_POINTS, -(-size // TASKS))
    keep_every = max(1, -(-size // RETURNS_KEPT))
    return [
        ScoreTask(
            inputs=search.inputs,
            grid=search.grid,
            begin=begin,
            end=min(begin + points, size),
            folds=plan.folds,
            objective=plan.request.objective,
            keep_every=keep_every,
            bars_digest=plan.market.digest,
            code=_code(plan, search),
        )
        for begin in range(0, size, points)
    ]


def _window_task(plan: Plan, search: GridSearch, point: int, fold: Fold) -> WindowTask:
    return WindowTask(
        inputs=with_parameters(search.inputs, search.grid.parameters(point)),
        fold=fold,
        slippages=SLIPPAGE_LEVELS,
        bars_digest=plan.market.digest,
        code=_code(plan, search),
    )


def _code(plan: Plan, search: GridSearch) -> str:
    return code_of(plan.settings.code_digest, [search.selected])


def code_of(code_digest: str, selected: Sequence[SelectedStrategy]) -> str:
    """Our code's digest, with the user's own files where strategies are theirs."""
    theirs = [each.digest for each in selected if not each.is_built_in]
    return " ".join([code_digest, *theirs])


def _scores(results: Sequence[Result]) -> tuple[Score, ...]:
    return tuple(
        score for result in results if isinstance(result, ScoreResult) for score in result.scores
    )


def _assemble(
    plan: Plan,
    search: GridSearch,
    scores: tuple[Score, ...],
    points: Sequence[int],
    tested: Sequence[Result],
) -> StrategyWalk:
    splits = tuple(
        _split(plan, search, fold, point, scores[point].objective[place], result)
        for place, (fold, point, result) in enumerate(zip(plan.folds, points, tested, strict=True))
        if isinstance(result, WindowResult)
    )
    return StrategyWalk(search, scores, splits, stitch([split.result for split in splits]))


def _split(
    plan: Plan,
    search: GridSearch,
    fold: Fold,
    point: int,
    trained: float | None,
    tested: WindowResult,
) -> Split:
    inputs = with_parameters(search.inputs, search.grid.parameters(point))
    result = to_simulation_result(inputs, plan.market, fold, tested)
    return Split(fold, point, search.grid.point(point), trained, inputs, tested, result)


def stitch(results: Sequence[SimulationResult]) -> SimulationResult:
    """The windows one after the other.

    Money curves are scaled to the equity they continue; trades stay as traded.
    """
    start = results[0].starting_cash
    scale, scales = 1.0, []
    for result in results:
        scales.append(scale)
        scale *= float(result.equity[-1]) / start
    curves = {
        name: np.concatenate(
            [getattr(each, name) * by for each, by in zip(results, scales, strict=True)]
        )
        for name in ("equity", "cash", "gross")
    }
    trades = {
        name: np.concatenate([getattr(each.trades, name) for each in results])
        for name in Trades.__dataclass_fields__
    }
    reasons = dict.fromkeys(chain.from_iterable(each.skipped for each in results))
    return SimulationResult(
        strategies=results[0].strategies,
        sessions=np.concatenate([each.sessions for each in results]),
        starting_cash=start,
        trades=Trades(**trades),
        skipped={
            reason: sum(each.skipped.get(reason, 0) for each in results) for reason in reasons
        },
        **curves,
    )
