"""Walk-forward: choose each strategy's parameters on the past, trade them on what comes next, stitch that together.

Called by `kobe walk-forward`; the work itself is handed to a runner: threads here, or a queue of
workers. The same inputs give the same results whoever did the work. It prints nothing and writes
nothing.
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

from services.research.data.dataset import Market, columns
from services.research.data.inputs import Inputs
from services.research.engine.performance import daily_returns
from services.research.engine.simulate import SimulationResult, Trades
from services.research.strategy_check.selection import Chosen, chosen, refuse_too_short
from services.research.walk_forward.folds import Fold, folds
from services.research.walk_forward.grids import Grid, grid_of
from services.research.walk_forward.tasks import (
    Result,
    Score,
    Task,
    Tested,
    Testing,
    Trained,
    Training,
    key,
)
from services.research.walk_forward.trials import result_of, with_parameters
from shared.runtime.config.settings import Settings

TASKS = 500
FEWEST_POINTS = 4
"""A grid is scored in at most so many tasks, of at least so many points each."""
RETURNS_KEPT = 1_000
SLIPPAGES = ("0", "5", "10", "20")
BEST_LAST = -np.inf

Runner = Callable[[Sequence[Task]], list[Result]]
"""Does the tasks, in whatever order, and gives their results back in the order of the tasks."""


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for; windows in sessions, per strategy the values to try."""

    inputs: Inputs
    train: int
    test: int
    anchored: bool
    objective: str
    grids: dict[str, dict[str, tuple[bool | int | float, ...]]]


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One strategy with its grid, by itself in the account."""

    picked: Chosen
    inputs: Inputs
    grid: Grid

    @property
    def name(self) -> str:
        return self.picked.name


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything to be done, before any of it is."""

    asked: WalkForward
    market: Market
    folds: tuple[Fold, ...]
    subjects: tuple[Subject, ...]
    settings: Settings

    @property
    def trials(self) -> int:
        return sum(subject.grid.size for subject in self.subjects)

    @property
    def steps(self) -> int:
        """Parameter sets to score plus windows to trade."""
        return self.trials + len(self.subjects) * len(self.folds)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One fold of one strategy."""

    fold: Fold
    point: int
    values: dict[str, Any]
    trained: float | None
    """The objective in training."""
    inputs: Inputs
    tested: Tested
    result: SimulationResult


@dataclass(frozen=True, slots=True, eq=False)
class Walked:
    """One strategy's folds, the scores of its whole grid, and the stitched result: each window begins with the same
    cash, its returns are compounded onto those before."""

    subject: Subject
    scores: tuple[Score, ...]
    splits: tuple[Split, ...]
    stitched: SimulationResult

    @property
    def returns(self) -> NDArray[np.float64]:
        """Out of sample, one per session."""
        return daily_returns(self.stitched.equity, self.stitched.starting_cash)


def plan(asked: WalkForward, market: Market, settings: Settings) -> Plan:
    """UserError: unknown names, impossible grids, too few bars."""
    picked = chosen(asked.inputs)
    first, last = columns(market.panel, asked.inputs.start, asked.inputs.end)
    refuse_too_short(market.panel, picked, last)
    cut = folds(first, last, train=asked.train, test=asked.test, anchored=asked.anchored)
    subjects = tuple(
        Subject(
            each,
            msgspec.structs.replace(asked.inputs, strategies=(given,)),
            grid_of(each.strategy, given.parameters, asked.grids.get(each.name, {})),
        )
        for each, given in zip(picked, asked.inputs.strategies, strict=True)
    )
    return Plan(asked, market, cut, subjects, settings)


def walk(plan: Plan, runner: Runner) -> tuple[Walked, ...]:
    """Score every grid, choose per fold, trade the chosen."""
    training = [trainings(plan, subject) for subject in plan.subjects]
    trained = iter(runner(list(chain.from_iterable(training))))
    scores = [_scores([next(trained) for _ in tasks]) for tasks in training]
    places = range(len(plan.folds))
    points = [[best(found, place) for place in places] for found in scores]
    # By chosen set, so that neighbours share their signals.
    testings = {
        (which, place): _testing(plan, subject, points[which][place], fold)
        for which, subject in enumerate(plan.subjects)
        for place, fold in enumerate(plan.folds)
    }
    order = sorted(testings, key=lambda at: (at[0], points[at[0]][at[1]], at[1]))
    tested = dict(zip(order, runner([testings[at] for at in order]), strict=True))
    return tuple(
        _walked(
            plan,
            subject,
            scores[which],
            points[which],
            [tested[which, place] for place in range(len(plan.folds))],
        )
        for which, subject in enumerate(plan.subjects)
    )


def best(scores: Sequence[Score], fold: int) -> int:
    """The point with the best objective in that fold's training; of equals the first, as where none can be judged."""
    values = [score.objective[fold] for score in scores]
    return int(np.argmax([BEST_LAST if value is None else value for value in values]))


def run_id(plan: Plan) -> str:
    """The keys of its tasks stand for inputs, bars and code."""
    keys = [key(task) for subject in plan.subjects for task in trainings(plan, subject)]
    return hashlib.sha256("".join(keys).encode()).hexdigest()[:20]


def trainings(plan: Plan, subject: Subject) -> list[Training]:
    """The scoring of the strategy's grid, cut the same way wherever it is done."""
    size = subject.grid.size
    points = max(FEWEST_POINTS, -(-size // TASKS))
    keep_every = max(1, -(-size // RETURNS_KEPT))
    return [
        Training(
            inputs=subject.inputs,
            grid=subject.grid,
            begin=begin,
            end=min(begin + points, size),
            folds=plan.folds,
            objective=plan.asked.objective,
            keep_every=keep_every,
            bars_digest=plan.market.digest,
            code=_code(plan, subject),
        )
        for begin in range(0, size, points)
    ]


def _testing(plan: Plan, subject: Subject, point: int, fold: Fold) -> Testing:
    return Testing(
        inputs=with_parameters(subject.inputs, subject.grid.parameters(point)),
        fold=fold,
        slippages=SLIPPAGES,
        bars_digest=plan.market.digest,
        code=_code(plan, subject),
    )


def _code(plan: Plan, subject: Subject) -> str:
    return code_of(plan.settings.code_digest, subject.picked)


def code_of(code_digest: str, picked: Chosen) -> str:
    """Ours, and the user's own file where the strategy is one."""
    return code_digest if picked.ours else f"{code_digest} {picked.digest}"


def _scores(results: Sequence[Result]) -> tuple[Score, ...]:
    return tuple(
        score for result in results if isinstance(result, Trained) for score in result.scores
    )


def _walked(
    plan: Plan,
    subject: Subject,
    scores: tuple[Score, ...],
    points: Sequence[int],
    tested: Sequence[Result],
) -> Walked:
    splits = tuple(
        _split(plan, subject, fold, point, scores[point].objective[place], result)
        for place, (fold, point, result) in enumerate(zip(plan.folds, points, tested, strict=True))
        if isinstance(result, Tested)
    )
    return Walked(subject, scores, splits, stitched([split.result for split in splits]))


def _split(
    plan: Plan, subject: Subject, fold: Fold, point: int, trained: float | None, tested: Tested
) -> Split:
    inputs = with_parameters(subject.inputs, subject.grid.parameters(point))
    result = result_of(inputs, plan.market, fold, tested)
    return Split(fold, point, subject.grid.point(point), trained, inputs, tested, result)


def stitched(results: Sequence[SimulationResult]) -> SimulationResult:
    """The windows one after the other; money curves are scaled to the equity they follow on, trades are as traded."""
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
