"""A walk-forward's files: every split's trades and equity, the table that compares them, the summary.

Called by `kobe walk-forward`. The same inputs give the same bytes, whoever did the work.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from services.research.backtest import benchmark as benchmarks, caveats
from services.research.backtest.benchmark import Benchmark
from services.research.engine.overfitting import Band
from services.research.engine.performance import Metrics, measure
from services.research.reports import artifacts
from services.research.walk_forward.robustness import Honesty, judge, sentences
from services.research.walk_forward.walk_forward import Plan, Split, Walked, code_of, run_id

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
class Judged:
    """One strategy's walk with all that is said of it."""

    walked: Walked
    metrics: Metrics
    honesty: Honesty
    band: Band

    @property
    def name(self) -> str:
        return self.walked.subject.name


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """Everything that files and reports are made of."""

    plan: Plan
    judged: tuple[Judged, ...]
    held: Benchmark | None
    warnings: tuple[str, ...]
    id: str

    @property
    def span(self) -> tuple[int, int]:
        """First and last column out of sample."""
        return self.plan.folds[0].test_first, self.plan.folds[-1].test_last


def made_of(plan: Plan, walks: Sequence[Walked]) -> Made:
    judged = tuple(Judged(walked, measure(walked.stitched), *judge(walked)) for walked in walks)
    first, last = plan.folds[0].test_first, plan.folds[-1].test_last
    warnings = [*caveats.of_market(plan.market, first, last)]
    for each in judged:
        warnings += sentences(each.name, each.honesty)
    held = benchmarks.benchmark(plan.market, first, last, float(plan.asked.inputs.cash))
    return Made(plan, judged, held, (*_told_of_trials(plan), *warnings), run_id(plan))


def files(made: Made) -> dict[str, str]:
    """Every data file by its name below the folder."""
    texts: dict[str, str] = {}
    for each in made.judged:
        for split in each.walked.splits:
            folder = f"{each.name}/{SPLIT.format(split.fold.number)}"
            texts |= {
                f"{folder}/{name}": text for name, text in _split_files(made, each, split).items()
            }
        texts[f"{each.name}/equity_curve.csv"] = artifacts.equity_curve(each.walked.stitched)
    texts["wf_summary_compare.csv"] = _compared(made)
    texts["summary.json"] = artifacts.json_text(summary(made))
    return texts


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """All of them in place; splits that an earlier run had and this one has not are removed."""
    artifacts.write_run(folder, texts)
    current = {str(Path(name).parent) for name in texts}
    for old in folder.glob("*/split_*"):
        if str(old.relative_to(folder)) not in current and (old / "params.json").is_file():
            shutil.rmtree(old, ignore_errors=True)


def summary(made: Made) -> dict[str, Any]:
    """What summary.json holds and `--json` prints."""
    plan = made.plan
    sessions, (first, last) = plan.market.panel.sessions, made.span
    return {
        "kind": KIND,
        "id": made.id,
        "inputs": told(made),
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
            each.name: {"metrics": each.metrics, "honesty": each.honesty} for each in made.judged
        },
        "benchmark": benchmarks.facts(made.held, float(plan.asked.inputs.cash))
        if made.held
        else None,
        "warnings": made.warnings,
    }


def told(made: Made) -> dict[str, Any]:
    """The inputs without folders; every strategy with the parameters that stay and the grid."""
    asked = made.plan.asked
    plain: dict[str, Any] = msgspec.to_builtins(asked.inputs)
    plain.pop("folder")
    plain["bars"] = made.plan.market.source
    plain["symbols"] = list(made.plan.market.panel.symbols) if asked.inputs.symbols else "all"
    plain["strategies"] = {
        subject.name: {
            "parameters": msgspec.to_builtins(subject.picked.params),
            "grid": subject.grid.values,
        }
        for subject in made.plan.subjects
    }
    windows = {
        "train": asked.train,
        "test": asked.test,
        "anchored": asked.anchored,
        "objective": asked.objective,
    }
    return {**plain, **windows}


def _told_of_trials(plan: Plan) -> list[str]:
    """Aloud, and first."""
    each = ", ".join(f"{subject.grid.size:,} for {subject.name}" for subject in plan.subjects)
    return [
        f"{plan.trials:,} trials were made: parameter sets tried, {each}. Trials made before this run count too."
    ]


def _digests(plan: Plan) -> dict[str, Any]:
    return {
        "bars": plan.market.digest,
        "strategies": {subject.name: subject.picked.digest for subject in plan.subjects},
        "code": {
            subject.name: code_of(plan.settings.code_digest, subject.picked)
            for subject in plan.subjects
        },
    }


def _split_files(made: Made, each: Judged, split: Split) -> dict[str, str]:
    plan, sessions = made.plan, made.plan.market.panel.sessions
    fold = split.fold
    parameters = {
        "strategy": each.name,
        "parameters": split.inputs.strategies[0].parameters,
        "tried": split.values,
        "point": split.point,
        "of": each.walked.subject.grid.size,
        "objective": plan.asked.objective,
        "trained": split.trained,
    }
    facts = {
        "kind": f"{KIND} split",
        "id": made.id,
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


def _compared(made: Made) -> str:
    """One row a split, and one `all` a strategy: the stitched result."""
    sessions, folds = made.plan.market.panel.sessions, made.plan.folds
    rows: list[tuple[object, ...]] = []
    for each in made.judged:
        for split in each.walked.splits:
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


def _cells(metrics: Metrics) -> list[object]:
    values = [getattr(metrics, name) for name in COMPARED]
    return [
        "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
        for value in values
    ]
