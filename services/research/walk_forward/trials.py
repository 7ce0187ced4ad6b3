"""Does a walk-forward's tasks: scores parameter sets, trades one through a test window.

Called by whoever runs tasks: threads here, queue workers elsewhere. Signals and their outcomes are
found once per parameter set on the whole history and serve every window. It chooses nothing.
"""

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest.gated_run import gate_rules, run_with_gate
from services.research.data.dataset import Dataset
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.engine import performance
from services.research.engine.outcomes import Outcomes, outcomes, rank
from services.research.engine.ranking_kernels import Candidates
from services.research.engine.simulate import (
    SimulationResult,
    SimulationSettings,
    Trades,
    equity_of,
    run_portfolio,
    with_slippage,
)
from services.research.engine.slippage import equity_at
from services.research.strategy_check.selection import (
    SelectedStrategy,
    StrategyShelf,
    signals_of,
)
from services.research.walk_forward.folds import Fold, window
from services.research.walk_forward.tasks import (
    Result,
    Score,
    ScoreResult,
    ScoreTask,
    Task,
    WindowResult,
    WindowTask,
)
from shared.domain.market.signal_table import SignalTable
from shared.schemas.json_types import JsonMapping

KEPT = 64
"""Parameter sets whose signals stay in memory: windows mostly follow the scores that chose them."""
RANKINGS = 16
"""Combinations of them that stay ranked; neighbouring windows mostly choose the same."""
NO_LOSS = 1e6
"""The objective of a window without a loss, where a ratio to losses would be infinite."""

ReportSteps = Callable[[int], None]
Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What one strategy says on the whole panel, and what became of it; `key` names the set."""

    key: str
    strategy: str
    table: SignalTable
    outcomes: Outcomes


class Trials:
    """One open market and what has been found on it; safe to use from several threads."""

    def __init__(self, market: Dataset, shelf: StrategyShelf | None = None) -> None:
        self.market = market
        self.shelf = shelf or StrategyShelf()
        self._found: OrderedDict[str, Found] = OrderedDict()
        self._ranked: OrderedDict[str, Candidates] = OrderedDict()
        self._lock = threading.Lock()

    def do(self, task: Task, advance: ReportSteps = lambda _steps: None) -> Result:
        """The task's result; `advance` is called after each step and may raise to end the work."""
        return (
            self._train(task, advance) if isinstance(task, ScoreTask) else self._test(task, advance)
        )

    def candidates(self, inputs: Inputs) -> Candidates:
        """The ranked outcomes of the inputs' strategies together."""
        return self._rank(self._find_all(inputs))

    def forget_strategies(self) -> None:
        """Load strategies anew, and drop what the old ones found."""
        with self._lock:
            self._found.clear()
            self._ranked.clear()
        self.shelf.forget()

    def _find_all(self, inputs: Inputs) -> list[Found]:
        return [self._find(strategy) for strategy in self.shelf.select(inputs)]

    def _find(self, strategy: SelectedStrategy) -> Found:
        panel, name = self.market.panel, f"{strategy.name} {strategy.params!r}"
        with self._lock:
            known = self._found.get(name)
        if known:
            return known
        table = signals_of(panel, strategy)
        found = Found(name, strategy.name, table, outcomes(panel, strategy.name, table))
        with self._lock:
            _remember(self._found, name, found, KEPT)
        return found

    def _rank(self, found: Sequence[Found]) -> Candidates:
        name = " | ".join(each.key for each in found)
        with self._lock:
            known = self._ranked.get(name)
        if known is not None:
            return known
        ranked = rank(self.market.panel, [each.outcomes for each in found])
        with self._lock:
            _remember(self._ranked, name, ranked, RANKINGS)
        return ranked

    def _train(self, task: ScoreTask, advance: ReportSteps) -> ScoreResult:
        scores = []
        for place in range(task.begin, task.end):
            scores.append(self._score(task, place))
            advance(1)
        return ScoreResult(tuple(scores))

    def _score(self, task: ScoreTask, place: int) -> Score:
        inputs = with_parameters(task.inputs, task.grid.parameters(place))
        ranked, settings = self.candidates(inputs), inputs.settings
        scored = [
            self._objective(task.objective, inputs, ranked, settings, fold) for fold in task.folds
        ]
        returns = self._returns(
            ranked, settings, task.folds[0].test_first, task.folds[-1].test_last
        )
        spread = float(returns.std(ddof=1)) if returns.size > 1 else 0.0
        sharpe = float(returns.mean()) / spread if spread > 0 else 0.0
        kept = returns.astype("<f8").tobytes() if place % task.keep_every == 0 else None
        return Score(tuple(scored), sharpe, kept)

    def _objective(
        self,
        name: str,
        inputs: Inputs,
        ranked: Candidates,
        settings: SimulationSettings,
        fold: Fold,
    ) -> float | None:
        if name == "profit_factor":
            pnl = self._run(inputs, ranked, settings, fold.train_first, fold.train_last).trades.pnl
            return _cap(performance.profit_factor(pnl)) if pnl.size else None
        returns = self._returns(ranked, settings, fold.train_first, fold.train_last)
        if name == "sharpe":
            return performance.sharpe(returns)
        return _cap(performance.return_over_drawdown(returns)) if returns.any() else None

    def _test(self, task: WindowTask, advance: ReportSteps) -> WindowResult:
        result, repeated = self._run_gated(task) if task.inputs.policy else self._free(task)
        advance(1)
        return WindowResult(
            metrics=performance.measure(result),
            trades={
                field.name: getattr(result.trades, field.name).tolist()
                for field in dataclasses.fields(Trades)
            },
            equity=result.equity.tolist(),
            cash=result.cash.tolist(),
            gross=result.gross.tolist(),
            skipped={str(reason): count for reason, count in result.skipped.items()},
            returns_by_slippage={bps: returns.tolist() for bps, returns in repeated.items()},
        )

    def _free(self, task: WindowTask) -> tuple[SimulationResult, dict[str, Floats]]:
        """Without the gate; traded again at every slippage."""
        ranked, settings = self.candidates(task.inputs), task.inputs.settings
        first, last = task.fold.test_first, task.fold.test_last
        result = self._run(task.inputs, ranked, settings, first, last)
        sessions = result.sessions.size
        repeated = {
            bps: self._returns(ranked, with_slippage(settings, bps), first, last)[:sessions]
            for bps in task.slippages
        }
        return result, repeated

    def _run_gated(self, task: WindowTask) -> tuple[SimulationResult, dict[str, Floats]]:
        """By the gate; the same trades at every slippage."""
        panel, settings = self.market.panel, task.inputs.settings
        found, first = self._find_all(task.inputs), task.fold.test_first
        result = run_with_gate(
            panel,
            [(each.strategy, each.table) for each in found],
            [each.outcomes for each in found],
            self._rank(found),
            settings,
            gate_rules(task.rules, allow_shorts=task.inputs.allow_shorts),
            window(panel, first, task.fold.test_last),
        ).result
        usual = float(settings.costs.slippage_bps)
        repeated = {
            bps: performance.daily_returns(
                equity_at(result, first, bps=float(bps), instead_of=usual), float(settings.cash)
            )
            for bps in task.slippages
        }
        return result, repeated

    def _run(
        self,
        inputs: Inputs,
        ranked: Candidates,
        settings: SimulationSettings,
        first: int,
        last: int,
    ) -> SimulationResult:
        panel = self.market.panel
        return run_portfolio(panel, inputs.names, ranked, settings, window(panel, first, last))

    def _returns(
        self, ranked: Candidates, settings: SimulationSettings, first: int, last: int
    ) -> Floats:
        panel = self.market.panel
        equity = equity_of(panel, ranked, settings, window(panel, first, last))
        return performance.daily_returns(equity, float(settings.cash))


def with_parameters(inputs: Inputs, parameters: JsonMapping) -> Inputs:
    """The same inputs with other parameters of their one strategy."""
    strategy = StrategyInputs(name=inputs.names[0], parameters=dict(parameters))
    return msgspec.structs.replace(inputs, strategies=(strategy,))


def _remember(cache: OrderedDict[str, T], name: str, value: T, most: int) -> None:
    cache[name] = value
    while len(cache) > most:
        cache.popitem(last=False)


def _cap(ratio: float | None) -> float:
    return NO_LOSS if ratio is None else min(ratio, NO_LOSS)


def to_simulation_result(
    inputs: Inputs, market: Dataset, fold: Fold, tested: WindowResult
) -> SimulationResult:
    """The simulation's own result, rebuilt from a task's."""
    columns = {
        field.name: np.array(tested.trades[field.name], _types()[field.name])
        for field in dataclasses.fields(Trades)
    }
    return SimulationResult(
        strategies=inputs.names,
        sessions=market.panel.sessions[fold.test_first : fold.test_first + len(tested.equity)],
        starting_cash=float(inputs.cash),
        trades=Trades(**columns),
        equity=np.array(tested.equity),
        cash=np.array(tested.cash),
        gross=np.array(tested.gross),
        skipped=tested.skipped,
    )


def _types() -> dict[str, type[np.generic]]:
    narrow: dict[str, type[np.generic]] = {"strategy": np.int16, "row": np.int32, "side": np.int8}
    money = ("entry_price", "exit_price", "pnl", "costs", "fees")
    names = [field.name for field in dataclasses.fields(Trades)]
    return {name: narrow.get(name, np.float64 if name in money else np.int64) for name in names}
