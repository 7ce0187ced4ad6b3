"""The plan of a walk-forward: windows, grids, and which strategies share an account out of sample.

Made by `kobe walk-forward`, carried out by walk_forward.py. It opens no bars and runs nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from services.research.backtest.costs import SLIPPAGE_LEVELS
from services.research.data.dataset import Dataset, columns
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.strategy_check.guard import refuse_look_ahead
from services.research.strategy_check.selection import (
    SelectedStrategy,
    StrategyShelf,
    refuse_too_short,
)
from services.research.walk_forward.folds import Fold, folds
from services.research.walk_forward.grids import Grid, grid_of
from services.research.walk_forward.tasks import ScoreTask, WindowTask
from shared.runtime.config.settings import Settings
from shared.schemas.json_types import JsonMapping, JsonObject

TASKS = 500
FEWEST_POINTS = 4
"""A grid is scored in at most so many tasks, of at least so many points: few, but cancellable."""
RETURNS_KEPT = 1_000
"""Trials whose daily returns judge overfitting; more would cost memory and change little."""
PORTFOLIO = "portfolio"


class WalkForward(msgspec.Struct, frozen=True, kw_only=True):
    """The request: windows in sessions, and per strategy the values to try.

    `alone`: every strategy has an account of its own out of sample; else they share one.
    """

    inputs: Inputs
    train: int
    test: int
    anchored: bool
    objective: str
    grids: dict[str, dict[str, tuple[bool | int | float, ...]]]
    alone: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class GridSearch:
    """One strategy with its grid, scored by itself."""

    selected: SelectedStrategy
    inputs: Inputs
    grid: Grid

    @property
    def name(self) -> str:
        return self.selected.name


@dataclass(frozen=True, slots=True, eq=False)
class PortfolioPlan:
    """The strategies that trade with one account's cash out of sample, in rank order."""

    name: str
    searches: tuple[GridSearch, ...]
    inputs: Inputs

    def inputs_at(self, points: Sequence[int]) -> Inputs:
        """With each strategy's parameters at its point of its grid."""
        chosen = tuple(
            StrategyInputs(name=search.name, parameters=search.grid.parameters(point))
            for search, point in zip(self.searches, points, strict=True)
        )
        return msgspec.structs.replace(self.inputs, strategies=chosen)

    def values_at(self, points: Sequence[int]) -> JsonObject:
        """The tried values; with the strategy's name where there are several."""
        alone = len(self.searches) == 1
        return {
            name if alone else f"{search.name}.{name}": value
            for search, point in zip(self.searches, points, strict=True)
            for name, value in search.grid.point(point).items()
        }

    @property
    def tried(self) -> list[str]:
        """The names of `values_at`."""
        return list(self.values_at([0] * len(self.searches)))


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
    def accounts(self) -> tuple[PortfolioPlan, ...]:
        inputs = self.request.inputs
        if self.request.alone or len(self.searches) == 1:
            return tuple(PortfolioPlan(each.name, (each,), each.inputs) for each in self.searches)
        return (PortfolioPlan(PORTFOLIO, self.searches, inputs),)

    @property
    def rules(self) -> Mapping[str, JsonMapping]:
        """The gate's, where it is asked; a part of the task, so that every worker has the same."""
        return self.settings.config.rules if self.request.inputs.policy else {}

    @property
    def trials(self) -> int:
        return sum(search.grid.size for search in self.searches)

    @property
    def steps(self) -> int:
        """Parameter sets to score plus windows to trade."""
        return self.trials + len(self.accounts) * len(self.folds)

    def code(self, searches: Sequence[GridSearch]) -> str:
        return code_of(self.settings.code_digest, [search.selected for search in searches])


def plan(request: WalkForward, market: Dataset, settings: Settings) -> Plan:
    """The plan. Raises UserError if a name is unknown, a grid impossible, or bars too few."""
    shelf = StrategyShelf()
    selected = shelf.select(request.inputs)
    first, last = columns(market.panel, request.inputs.start, request.inputs.end)
    refuse_too_short(market.panel, selected, last)
    refuse_look_ahead(request.inputs, selected, market.panel)
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


def score_tasks(plan: Plan, search: GridSearch) -> list[ScoreTask]:
    """The scoring of a strategy's grid, cut the same way wherever it is done.

    Training never asks the gate: a grid is scored by what its strategy does, thousands of times.
    """
    size = search.grid.size
    points = max(FEWEST_POINTS, -(-size // TASKS))
    keep_every = max(1, -(-size // RETURNS_KEPT))
    return [
        ScoreTask(
            inputs=msgspec.structs.replace(search.inputs, policy=False),
            grid=search.grid,
            begin=begin,
            end=min(begin + points, size),
            folds=plan.folds,
            objective=plan.request.objective,
            keep_every=keep_every,
            bars_digest=plan.market.digest,
            code=plan.code([search]),
        )
        for begin in range(0, size, points)
    ]


def window_task(
    plan: Plan, account: PortfolioPlan, points: Sequence[int], fold: Fold
) -> WindowTask:
    return WindowTask(
        inputs=account.inputs_at(points),
        fold=fold,
        slippages=SLIPPAGE_LEVELS,
        rules={name: dict(limits) for name, limits in plan.rules.items()},
        bars_digest=plan.market.digest,
        code=plan.code(account.searches),
    )


def code_of(code_digest: str, selected: Sequence[SelectedStrategy]) -> str:
    """Our code's digest, with the user's own files where strategies are theirs."""
    theirs = [each.digest for each in selected if not each.is_built_in]
    return " ".join([code_digest, *theirs])
