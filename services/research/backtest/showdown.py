"""Strategies side by side: each run alone with the same cash, bars, sessions and costs.

Called by `kobe showdown`. It runs one backtest a strategy and compares; it picks no winner.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from services.research.backtest import benchmark as benchmarks
from services.research.backtest.run import Run, backtest
from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs
from services.research.engine.performance import daily_returns
from services.research.reports import artifacts
from services.research.reports.pages import templates
from services.research.reports.svg_charts import LINES, Series, chart, legend, money
from shared.schemas.json_types import JsonObject

KIND = "showdown"
COMPARED = (
    "total_return",
    "cagr",
    "sharpe",
    "sortino",
    "volatility",
    "max_drawdown",
    "longest_drawdown",
    "calmar",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
    "average_hold",
    "exposure",
    "turnover",
    "costs",
    "end_equity",
)


@dataclass(frozen=True, slots=True, eq=False)
class Showdown:
    runs: tuple[Run, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(run.inputs.names[0] for run in self.runs)

    def correlations(self) -> list[list[float | None]]:
        """Of daily returns; None for a strategy that never moved."""
        returns = np.array(
            [daily_returns(run.result.equity, run.result.starting_cash) for run in self.runs]
        )
        moved = returns.std(axis=1) > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.atleast_2d(np.corrcoef(returns))
        return [
            [float(found[i, j]) if moved[i] and moved[j] else None for j in range(len(self.runs))]
            for i in range(len(self.runs))
        ]


def showdown(inputs: Inputs, environ: Mapping[str, str]) -> Showdown:
    """Run one backtest a strategy. Raises UserError if a backtest would."""
    market = open_dataset(inputs, environ)
    alone = [msgspec.structs.replace(inputs, strategies=(each,)) for each in inputs.strategies]
    return Showdown(tuple(backtest(each, environ, market) for each in alone))


def summary(comparison: Showdown) -> JsonObject:
    """The contents of the JSON summary."""
    first = comparison.runs[0]
    return {
        "kind": KIND,
        "runs": {name: run.id for name, run in zip(comparison.names, comparison.runs, strict=True)},
        "digests": {
            "bars": first.market.digest,
            "strategies": {name: _digest(comparison, name) for name in comparison.names},
        },
        "code_version": first.code_version,
        "config_pin": first.config_pin,
        "bars": first.market.source,
        "symbols": len(first.market.panel.symbols),
        "period": {
            "first": first.sessions[0],
            "last": first.sessions[1],
            "sessions": first.metrics.sessions,
        },
        "heads": {
            name: run.head for name, run in zip(comparison.names, comparison.runs, strict=True)
        },
        "strategies": {
            name: run.metrics for name, run in zip(comparison.names, comparison.runs, strict=True)
        },
        "correlations": dict(zip(comparison.names, comparison.correlations(), strict=True)),
        "benchmark": benchmarks.benchmark_metrics(first.benchmark, first.result.starting_cash)
        if first.benchmark
        else None,
        "warnings": list(dict.fromkeys(_warnings(comparison))),
    }


def files(comparison: Showdown) -> dict[str, str]:
    """Every artifact by name."""
    rows = [
        (name, *(_cell(run, column) for column in COMPARED))
        for name, run in zip(comparison.names, comparison.runs, strict=True)
    ]
    return {
        "showdown.csv": artifacts.csv_text(("strategy", *COMPARED), rows),
        "showdown.json": artifacts.json_text(summary(comparison)),
        "showdown.html": render(comparison),
    }


def render(comparison: Showdown) -> str:
    """The HTML page."""
    first = comparison.runs[0]
    lines = [
        Series(name, run.result.equity, LINES[place % len(LINES)])
        for place, (name, run) in enumerate(zip(comparison.names, comparison.runs, strict=True))
    ]
    if first.benchmark:
        lines = [Series(first.benchmark.name, first.benchmark.equity, "theirs"), *lines]
    picture = legend(lines[::-1]) + chart(
        first.result.sessions, lines, money, height=300, title="Equity"
    )
    plain = msgspec.to_builtins(summary(comparison), builtin_types=())
    template = templates().get_template("showdown.html.j2")
    return template.render(
        summary=plain, names=comparison.names, picture=picture, inputs=first.inputs
    )


def _warnings(comparison: Showdown) -> list[str]:
    """Warnings common to all once, the others under the strategy's name."""
    common = set(comparison.runs[0].warnings).intersection(
        *(run.warnings for run in comparison.runs[1:])
    )
    notes = [warning for warning in comparison.runs[0].warnings if warning in common]
    for name, run in zip(comparison.names, comparison.runs, strict=True):
        notes += [f"{name}: {warning}" for warning in run.warnings if warning not in common]
    return notes


def _digest(comparison: Showdown, name: str) -> str:
    run = comparison.runs[comparison.names.index(name)]
    return str(run.strategies[0].digest)


def _cell(run: Run, column: str) -> object:
    value = getattr(run.metrics, column)
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
