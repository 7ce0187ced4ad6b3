"""Walk-forward: choose parameters on the past, trade what comes next, stitch the windows.

Called by `kobe walk-forward`; a runner does the work, in threads here or on a queue. The same
inputs give the same results wherever the work was done. It prints nothing and writes nothing.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, takewhile

import numpy as np
from numpy.typing import NDArray

from services.research.data.inputs import Inputs
from services.research.engine.performance import daily_returns
from services.research.engine.simulate import SimulationResult, Trades
from services.research.walk_forward.folds import Fold
from services.research.walk_forward.plan import Plan, PortfolioPlan, score_tasks, window_task
from services.research.walk_forward.tasks import (
    Result,
    Score,
    ScoreResult,
    Task,
    WindowResult,
    task_key,
)
from services.research.walk_forward.trials import to_simulation_result
from shared.schemas.json_types import JsonObject

BEST_LAST = -np.inf

Runner = Callable[[Sequence[Task]], list[Result]]
"""Does the tasks, in whatever order, and gives their results back in the order of the tasks."""


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """One fold of one account; points, objectives and grids are in the order of its strategies."""

    fold: Fold
    points: tuple[int, ...]
    values: JsonObject
    objectives: tuple[float | None, ...]
    """In training, of each strategy's chosen set."""
    inputs: Inputs
    tested: WindowResult
    result: SimulationResult

    @property
    def trained(self) -> float | None:
        """The mean of the objectives there are."""
        known = [value for value in self.objectives if value is not None]
        return float(np.mean(known)) if known else None


@dataclass(frozen=True, slots=True, eq=False)
class AccountWalk:
    """One account's folds, the scores of its strategies' grids, and the stitched result.

    Each window starts with the same cash; its returns are compounded onto those before. A ruined
    window is the last: nothing is left to go on with.
    """

    account: PortfolioPlan
    scores: tuple[tuple[Score, ...], ...]
    splits: tuple[FoldResult, ...]
    stitched: SimulationResult

    @property
    def returns(self) -> NDArray[np.float64]:
        """Out of sample, one per session."""
        return daily_returns(self.stitched.equity, self.stitched.starting_cash)


def walk(plan: Plan, runner: Runner) -> tuple[AccountWalk, ...]:
    """Score every grid, choose per fold, trade the chosen sets."""
    tasks = [score_tasks(plan, search) for search in plan.searches]
    done = iter(runner(list(chain.from_iterable(tasks))))
    scores = {
        search.name: _scores([next(done) for _ in each])
        for search, each in zip(plan.searches, tasks, strict=True)
    }
    points = {
        (account.name, fold.number): tuple(
            best(scores[search.name], place) for search in account.searches
        )
        for account in plan.accounts
        for place, fold in enumerate(plan.folds)
    }
    windows = {
        (account.name, fold.number): window_task(
            plan, account, points[account.name, fold.number], fold
        )
        for account in plan.accounts
        for fold in plan.folds
    }
    # By chosen set, so that neighbours share their signals.
    order = sorted(windows, key=lambda at: (at[0], points[at], at[1]))
    tested = dict(zip(order, runner([windows[at] for at in order]), strict=True))
    return tuple(_assemble(plan, account, scores, points, tested) for account in plan.accounts)


def best(scores: Sequence[Score], fold: int) -> int:
    """The point with the best training objective in that fold; the first of equals."""
    values = [score.objective[fold] for score in scores]
    return int(np.argmax([BEST_LAST if value is None else value for value in values]))


def run_id(plan: Plan) -> str:
    """The keys of its tasks stand for inputs, bars and code."""
    keys = [task_key(task) for search in plan.searches for task in score_tasks(plan, search)]
    first = [
        window_task(plan, each, [0] * len(each.searches), plan.folds[0]) for each in plan.accounts
    ]
    keys += [task_key(task) for task in first]
    return hashlib.sha256("".join(keys).encode()).hexdigest()[:20]


def _scores(results: Sequence[Result]) -> tuple[Score, ...]:
    return tuple(
        score for result in results if isinstance(result, ScoreResult) for score in result.scores
    )


def _assemble(
    plan: Plan,
    account: PortfolioPlan,
    scores: dict[str, tuple[Score, ...]],
    points: dict[tuple[str, int], tuple[int, ...]],
    tested: dict[tuple[str, int], Result],
) -> AccountWalk:
    own = tuple(scores[search.name] for search in account.searches)
    splits = [
        _split(plan, account, own, place, points[account.name, fold.number], result)
        for place, fold in enumerate(plan.folds)
        if isinstance(result := tested[account.name, fold.number], WindowResult)
    ]
    lived = until_ruin(splits)
    return AccountWalk(account, own, lived, stitch([split.result for split in lived]))


def _split(
    plan: Plan,
    account: PortfolioPlan,
    scores: tuple[tuple[Score, ...], ...],
    place: int,
    points: tuple[int, ...],
    tested: WindowResult,
) -> FoldResult:
    inputs, fold = account.inputs_at(points), plan.folds[place]
    return FoldResult(
        fold=fold,
        points=points,
        values=account.values_at(points),
        objectives=tuple(
            each[point].objective[place] for each, point in zip(scores, points, strict=True)
        ),
        inputs=inputs,
        tested=tested,
        result=to_simulation_result(inputs, plan.market, fold, tested),
    )


def until_ruin(splits: Sequence[FoldResult]) -> tuple[FoldResult, ...]:
    """The windows up to the first that ruins the account, that one included."""
    lived = tuple(takewhile(lambda split: not split.result.is_ruined, splits))
    return (*lived, *splits[len(lived) : len(lived) + 1])


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
