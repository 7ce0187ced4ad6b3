"""report.html of a backtest: one file that needs no network, for the screen and for paper.

Called by `kobe backtest --out`. It computes nothing that summary.json does not already say.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import numpy as np
from markupsafe import Markup

from services.research.backtest.run import Run, summary
from services.research.backtest.trade_charts import trade_data
from services.research.engine import performance
from services.research.engine.outcomes import EXIT_REASONS
from services.research.reports.svg_charts import (
    HALF,
    Floats,
    Series,
    Sessions,
    chart,
    legend,
    money,
    percent,
)

TEMPLATES = Path(__file__).parents[1] / "reports" / "templates"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PALEST_SCALE = 0.005
"""A run that never moved a month by so much is shown pale."""


def templates() -> jinja2.Environment:
    """The room's templates, with the style sheet and numbers at hand; everything is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"money": _dollars, "share": _share, "number": _number, "words": _words}
    environment.globals |= {"css": Markup((TEMPLATES / "report.css").read_text())}
    return environment


def render(made: Run) -> str:
    """The whole page."""
    trades = made.result.trades
    ends = [
        (place, reason)
        for place, reason in enumerate(EXIT_REASONS)
        if (trades.exit_kind == place).any()
    ]
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            told=msgspec.to_builtins(summary(made)),
            title=", ".join(made.inputs.names),
            pictures=dict(_pictures(made)),
            months=MONTHS,
            years=heat_map(made.result.sessions, made.result.equity, made.result.starting_cash),
            strategies=[
                _group(made, trades.strategy == place, name)
                for place, (name, _) in enumerate(made.tables)
            ],
            exits=[
                _group(made, trades.exit_kind == place, _words(reason)) for place, reason in ends
            ],
            trades=len(trades),
            data=Markup(trade_data(made)),
            script=Markup((TEMPLATES / "report.js").read_text()),
        )
    )


def _pictures(made: Run) -> Iterator[tuple[str, Markup]]:
    result, sessions = made.result, made.result.sessions
    ours = Series(" + ".join(made.inputs.names), result.equity, "ours")
    yield "equity", chart(sessions, [ours], money, height=270, title="Equity")
    if made.held:
        lines = [Series(made.held.name, made.held.equity, "theirs"), ours]
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
    paid = [Series("costs", _costs_so_far(made), "cost", fill=True)]
    yield "costs", chart(sessions, paid, money, height=150, title="Costs paid so far", width=HALF)


def _costs_so_far(made: Run) -> Floats:
    """Booked on the day of the exit."""
    trades, first = made.result.trades, made.window.first
    paid = np.bincount(
        trades.exit_column - first, weights=trades.costs, minlength=made.result.sessions.size
    )
    return np.cumsum(paid)


def heat_map(sessions: Sessions, equity: Floats, start: float) -> list[dict[str, Any]]:
    """Per year its twelve monthly returns (None: not in the run) and its own, each with the shade of its cell."""
    months = sessions.astype("datetime64[M]").astype(np.int64)
    ends = np.flatnonzero(np.diff(months, append=months[-1] + 1))
    returns = performance.daily_returns(equity[ends], start)
    by_year: dict[int, dict[int, float]] = {}
    for month, value in zip(months[ends].tolist(), returns.tolist(), strict=True):
        by_year.setdefault(1970 + month // 12, {})[month % 12] = value
    most = max(PALEST_SCALE, float(np.abs(returns).max()))
    return [
        {
            "year": year,
            "cells": [_cell(found.get(month), most) for month in range(12)],
            "whole": _cell(float(np.prod([1 + value for value in found.values()]) - 1), most),
        }
        for year, found in by_year.items()
    ]


def _cell(value: float | None, most: float) -> dict[str, Any] | None:
    if value is None:
        return None
    text = f"{value * 100:+.{1 if most >= 0.01 else 2}f}"
    style = "gain" if value >= 0 else "loss"
    return {
        "text": text.replace("-", "−"),
        "style": style,
        "strength": f"{min(1.0, abs(value) / most):.2f}",
    }


def _group(made: Run, which: np.ndarray[Any, np.dtype[np.bool_]], name: str) -> dict[str, Any]:
    """Some of the trades in one row."""
    trades = made.result.trades
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


def _dollars(value: float | None) -> str:
    return "–" if value is None else f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def _share(value: float | None, form: str = ".1%") -> str:
    return "–" if value is None else format(value, form)


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else format(value, form)


def _words(name: str) -> str:
    return name.replace("_", " ")
