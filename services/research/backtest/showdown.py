"""Strategies side by side: each alone with the same money on the same bars, sessions and costs.

Called by `kobe showdown`. It runs the backtest once a strategy and compares; it chooses no winner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from services.research.backtest import benchmark as benchmarks
from services.research.backtest.run import Run, backtest
from services.research.data.dataset import open_market
from services.research.data.inputs import Inputs
from services.research.engine.performance import daily_returns
from services.research.reports import artifacts
from services.research.reports.svg_charts import LINES, Series, chart, legend, money

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
    """One run a strategy. UserError as of a backtest."""
    market = open_market(inputs, environ)
    alone = [msgspec.structs.replace(inputs, strategies=(each,)) for each in inputs.strategies]
    return Showdown(tuple(backtest(each, environ, market) for each in alone))


def summary(made: Showdown) -> dict[str, Any]:
    """What summary.json holds and `--json` prints."""
    first = made.runs[0]
    return {
        "kind": KIND,
        "runs": {name: run.id for name, run in zip(made.names, made.runs, strict=True)},
        "digests": {
            "bars": first.market.digest,
            "strategies": {name: _digest(made, name) for name in made.names},
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
        "strategies": {name: run.metrics for name, run in zip(made.names, made.runs, strict=True)},
        "correlations": dict(zip(made.names, made.correlations(), strict=True)),
        "benchmark": benchmarks.facts(first.held, first.result.starting_cash)
        if first.held
        else None,
        "warnings": list(dict.fromkeys(_warnings(made))),
    }


def files(made: Showdown) -> dict[str, str]:
    """Every artifact by its name."""
    rows = [
        (name, *(_cell(run, column) for column in COMPARED))
        for name, run in zip(made.names, made.runs, strict=True)
    ]
    return {
        "showdown.csv": artifacts.csv_text(("strategy", *COMPARED), rows),
        "summary.json": artifacts.json_text(summary(made)),
        "showdown.html": render(made),
    }


def render(made: Showdown) -> str:
    """The page."""
    from services.research.backtest.html_report import templates

    first = made.runs[0]
    lines = [
        Series(name, run.result.equity, LINES[place % len(LINES)])
        for place, (name, run) in enumerate(zip(made.names, made.runs, strict=True))
    ]
    if first.held:
        lines = [Series(first.held.name, first.held.equity, "theirs"), *lines]
    picture = legend(lines[::-1]) + chart(
        first.result.sessions, lines, money, height=300, title="Equity"
    )
    told = msgspec.to_builtins(summary(made), builtin_types=())
    template = templates().get_template("showdown.html.j2")
    return template.render(told=told, names=made.names, picture=picture, inputs=first.inputs)


def _warnings(made: Showdown) -> list[str]:
    """Those about the bars once, those about trades with the strategy's name."""
    common = set(made.runs[0].warnings).intersection(*(run.warnings for run in made.runs[1:]))
    said = [warning for warning in made.runs[0].warnings if warning in common]
    for name, run in zip(made.names, made.runs, strict=True):
        said += [f"{name}: {warning}" for warning in run.warnings if warning not in common]
    return said


def _digest(made: Showdown, name: str) -> str:
    run = made.runs[made.names.index(name)]
    return str(run.picked[0].digest)


def _cell(run: Run, column: str) -> object:
    value = getattr(run.metrics, column)
    return "" if value is None else f"{value:.6f}" if isinstance(value, float) else value
