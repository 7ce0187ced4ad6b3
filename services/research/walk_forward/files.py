"""A walk-forward's files: trades and equity of each split, comparison, summary.

Called by `kobe walk-forward`. The same inputs give the same bytes, wherever the work was done.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest import benchmark as benchmarks, caveats
from services.research.backtest.benchmark import Benchmark
from services.research.backtest.market_view import MarketModel, market_view
from services.research.engine.overfitting import Band
from services.research.engine.performance import PerformanceMetrics, measure
from services.research.reports import artifacts
from services.research.walk_forward.plan import Plan
from services.research.walk_forward.robustness import Robustness, assess, caveats_of
from services.research.walk_forward.walk_forward import AccountWalk, FoldResult, run_id
from shared.schemas.json_types import JsonObject

WINDOWS = (
    "strategy",
    "split",
    "train_first",
    "train_last",
    "test_first",
    "test_last",
    "parameters",
    "trained",
)

KIND = "walk-forward"
SPLIT = "split_{:02d}"
COMPARED = (
    "sessions",
    "total_return",
    "sharpe",
    "max_drawdown",
    "trades",
    "win_rate",
    "profit_factor",
    "costs",
)
WINDOWS = (
    "strategy",
    "split",
    "train_first",
    "train_last",
    "test_first",
    "test_last",
    "parameters",
    "trained",
)


@dataclass(frozen=True, slots=True, eq=False)
class AssessedWalk:
    """One strategy's walk with its metrics and its robustness."""

    walk: AccountWalk
    metrics: PerformanceMetrics
    robustness: Robustness
    band: Band
    head: MarketModel

    @property
    def name(self) -> str:
        return self.walk.account.name


@dataclass(frozen=True, slots=True, eq=False)
class WalkForwardReport:
    """A finished walk-forward with everything files and pages need."""

    plan: Plan
    walks: tuple[AssessedWalk, ...]
    benchmark: Benchmark | None
    warnings: tuple[str, ...]
    id: str

    @property
    def span(self) -> tuple[int, int]:
        """First and last column out of sample."""
        return self.plan.folds[0].test_first, self.plan.folds[-1].test_last


def assess_walks(plan: Plan, found: Sequence[AccountWalk]) -> WalkForwardReport:
    sharpes = trial_sharpes(found)
    held = benchmarks.benchmark(
        plan.market,
        plan.folds[0].test_first,
        plan.folds[-1].test_last,
        float(plan.request.inputs.cash),
    )
    rate = plan.request.inputs.cash_rate
    walks = tuple(
        AssessedWalk(
            walk,
            measure(walk.stitched),
            *assess(walk, sharpes),
            market_view(walk.stitched, held, rate),
        )
        for walk in found
    )
    first, last = plan.folds[0].test_first, plan.folds[-1].test_last
    warnings = [*caveats.about_bars(plan.market, first, last)]
    for each in walks:
        warnings += caveats_of(each.name, each.robustness)
    return WalkForwardReport(plan, walks, held, (*_trials_caveat(plan), *warnings), run_id(plan))


def trial_sharpes(walks: Sequence[AccountWalk]) -> NDArray[np.float64]:
    """Per session, of every parameter set that was tried."""
    scores = {id(grid): grid for walk in walks for grid in walk.scores}
    return np.array([score.sharpe for grid in scores.values() for score in grid])


def files(report: WalkForwardReport) -> dict[str, str]:
    """Every data file by its name below the folder."""
    texts: dict[str, str] = {}
    for each in report.walks:
        for split in each.walk.splits:
            folder = f"{each.name}/{SPLIT.format(split.fold.number)}"
            texts |= {
                f"{folder}/{name}": text for name, text in _split_files(report, each, split).items()
            }
        texts[f"{each.name}/equity_curve.csv"] = artifacts.equity_curve(each.walk.stitched)
    texts["wf_summary_compare.csv"] = _comparison_csv(report)
    texts["wf_summary.json"] = artifacts.json_text(summary(report))
    return texts


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write them all; remove splits that only an earlier run had."""
    artifacts.write_run(folder, texts)
    current = {str(Path(name).parent) for name in texts}
    for old in folder.glob("*/split_*"):
        if str(old.relative_to(folder)) not in current and (old / "params.json").is_file():
            shutil.rmtree(old, ignore_errors=True)


def summary(report: WalkForwardReport) -> JsonObject:
    """The contents of wf_summary.json."""
    plan = report.plan
    sessions, (first, last) = plan.market.panel.sessions, report.span
    return {
        "kind": KIND,
        "id": report.id,
        "inputs": describe_inputs(report),
        "digests": _digests(plan),
        "code_version": plan.settings.code_digest,
        "config_pin": plan.settings.config_pin,
        "period": {
            "first": str(sessions[first]),
            "last": str(sessions[last]),
            "sessions": last - first + 1,
        },
        "universe": {
            "symbols": len(plan.market.panel.symbols),
            "refused_bars": dict(plan.market.refused),
        },
        "splits": len(plan.folds),
        "trials": plan.trials,
        "strategies": {
            each.name: {
                "head": each.head,
                "metrics": each.metrics,
                "robustness": each.robustness,
            }
            for each in report.walks
        },
        "benchmark": benchmarks.benchmark_metrics(report.benchmark, float(plan.request.inputs.cash))
        if report.benchmark
        else None,
        "warnings": report.warnings,
    }


def describe_inputs(report: WalkForwardReport) -> JsonObject:
    """The inputs without folders; every strategy with its fixed parameters and its grid."""
    request = report.plan.request
    plain: JsonObject = msgspec.to_builtins(request.inputs)
    plain.pop("folder")
    plain["bars"] = report.plan.market.source
    plain["symbols"] = list(report.plan.market.panel.symbols) if request.inputs.symbols else "all"
    plain["strategies"] = {
        search.name: {
            "parameters": msgspec.to_builtins(search.selected.params),
            "grid": search.grid.values,
        }
        for search in report.plan.searches
    }
    windows = {
        "train": request.train,
        "test": request.test,
        "anchored": request.anchored,
        "objective": request.objective,
        "alone": request.alone,
    }
    return {**plain, **windows}


def _trials_caveat(plan: Plan) -> list[str]:
    """The number of trials: the first caveat of every walk-forward."""
    each = ", ".join(f"{search.grid.size:,} for {search.name}" for search in plan.searches)
    tried = f"{plan.trials:,} parameter sets were tried: {each}."
    return [f"{tried} What you tried before this run counts, too."]


def _digests(plan: Plan) -> JsonObject:
    return {
        "bars": plan.market.digest,
        "strategies": {search.name: search.selected.digest for search in plan.searches},
        "code": {search.name: plan.code([search]) for search in plan.searches},
    }


def _split_files(
    report: WalkForwardReport, each: AssessedWalk, split: FoldResult
) -> dict[str, str]:
    plan, sessions = report.plan, report.plan.market.panel.sessions
    fold = split.fold
    parameters = {
        "account": each.name,
        "objective": plan.request.objective,
        "strategies": {
            search.name: {
                "parameters": given.parameters,
                "tried": search.grid.point(point),
                "point": point,
                "of": search.grid.size,
                "trained": trained,
            }
            for search, given, point, trained in zip(
                each.walk.account.searches,
                split.inputs.strategies,
                split.points,
                split.objectives,
                strict=True,
            )
        },
    }
    facts = {
        "kind": f"{KIND} split",
        "id": report.id,
        "split": fold.number,
        "train": {"first": str(sessions[fold.train_first]), "last": str(sessions[fold.train_last])},
        "test": {"first": str(sessions[fold.test_first]), "last": str(sessions[fold.test_last])},
        "metrics": split.tested.metrics,
        "not_taken": {reason: count for reason, count in split.tested.skipped.items() if count},
        "digests": _digests(plan),
        "code_version": plan.settings.code_digest,
        "config_pin": plan.settings.config_pin,
    }
    return {
        "trade_list.csv": artifacts.trade_list(plan.market.panel, split.result),
        "equity_curve.csv": artifacts.equity_curve(split.result),
        "summary.json": artifacts.json_text(facts),
        "params.json": artifacts.json_text(parameters),
    }


def _comparison_csv(report: WalkForwardReport) -> str:
    """One row a split, and one `all` a strategy: the stitched result."""
    sessions, folds = report.plan.market.panel.sessions, report.plan.folds
    rows: list[tuple[object, ...]] = []
    for each in report.walks:
        for split in each.walk.splits:
            fold = split.fold
            columns = (fold.train_first, fold.train_last, fold.test_first, fold.test_last)
            dates = [str(sessions[column]) for column in columns]
            chosen = " ".join(f"{name}={value}" for name, value in split.values.items())
            trained = "" if split.trained is None else f"{split.trained:.6f}"
            rows.append(
                (each.name, fold.number, *dates, chosen, trained, *_cells(split.tested.metrics))
            )
        span = [str(sessions[folds[0].test_first]), str(sessions[folds[-1].test_last])]
        rows.append((each.name, "all", "", "", *span, "", "", *_cells(each.metrics)))
    return artifacts.csv_text((*WINDOWS, *COMPARED), rows)


def _cells(metrics: PerformanceMetrics) -> list[object]:
    values = [getattr(metrics, name) for name in COMPARED]
    return [
        "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
        for value in values
    ]
