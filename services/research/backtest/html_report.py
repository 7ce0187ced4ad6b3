"""report.html of a backtest: one file that needs no network, for the screen and for paper.

Called by `kobe backtest --out`. It computes nothing that summary.json does not already say.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from services.research.backtest.run import Run, summary
from services.research.backtest.trade_charts import trade_data
from services.research.engine import performance
from services.research.engine.outcomes import EXIT_REASONS
from services.research.reports.pages import MONTHS, TEMPLATES, heat_map, templates, words
from services.research.reports.svg_charts import (
    HALF,
    Floats,
    Series,
    chart,
    legend,
    money,
    percent,
)
from shared.schemas.json_types import JsonObject


def render(run: Run) -> str:
    """The whole page."""
    trades = run.result.trades
    ends = [
        (place, reason)
        for place, reason in enumerate(EXIT_REASONS)
        if (trades.exit_kind == place).any()
    ]
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            summary=msgspec.to_builtins(summary(run)),
            title=", ".join(run.inputs.names),
            pictures=dict(_pictures(run)),
            months=MONTHS,
            years=heat_map(run.result.sessions, run.result.equity, run.result.starting_cash),
            strategies=[
                _group(run, trades.strategy == place, name)
                for place, (name, _) in enumerate(run.tables)
            ],
            exits=[_group(run, trades.exit_kind == place, words(reason)) for place, reason in ends],
            trades=len(trades),
            data=Markup(trade_data(run)),  # noqa: S704  JSON escaped for a script element
            script=Markup((TEMPLATES / "report.js").read_text()),  # noqa: S704  our own file
        )
    )


def _pictures(run: Run) -> Iterator[tuple[str, Markup]]:
    result, sessions = run.result, run.result.sessions
    is_built_in = Series(" + ".join(run.inputs.names), result.equity, "ours")
    yield "equity", chart(sessions, [is_built_in], money, height=270, title="Equity")
    if run.benchmark:
        lines = [Series(run.benchmark.name, run.benchmark.equity, "theirs"), is_built_in]
        yield (
            "beside",
            legend(lines[::-1])
            + chart(sessions, lines, money, height=190, title="Beside the benchmark"),
        )
    under = performance.drawdown(performance.daily_returns(result.equity, result.starting_cash))
    falls = [Series("drawdown", under, "loss", fill=True)]
    yield "drawdown", chart(sessions, falls, percent, height=160, title="Drawdown")
    exposure = np.divide(
        result.gross, result.equity, out=np.zeros_like(result.gross), where=result.equity > 0
    )
    invested = [Series("invested", exposure, "ours", fill=True)]
    yield "exposure", chart(sessions, invested, percent, height=150, title="Exposure", width=HALF)
    paid = [Series("costs", _costs_so_far(run), "cost", fill=True)]
    yield "costs", chart(sessions, paid, money, height=150, title="Costs paid so far", width=HALF)


def _costs_so_far(run: Run) -> Floats:
    """Booked on the day of the exit."""
    trades, first = run.result.trades, run.window.first
    paid = np.bincount(
        trades.exit_column - first, weights=trades.costs, minlength=run.result.sessions.size
    )
    return np.cumsum(paid)


def _group(run: Run, which: np.ndarray[Any, np.dtype[np.bool_]], name: str) -> JsonObject:
    """Some of the trades in one row."""
    trades = run.result.trades
    pnl = trades.pnl[which]
    return {
        "name": name,
        "trades": int(which.sum()),
        "win_rate": float((pnl > 0).mean()) if pnl.size else None,
        "pnl": float(pnl.sum()),
        "average": float(pnl.mean()) if pnl.size else None,
        "held": float(trades.bars_held[which].mean()) if pnl.size else None,
        "costs": float(trades.costs[which].sum()),
    }
