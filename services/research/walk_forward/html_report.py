"""wf_report.html of a walk-forward: one file that needs no network, for the screen and for paper.

Called by `kobe walk-forward`. It computes nothing that summary.json does not already say.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from markupsafe import Markup

from services.research.backtest.html_report import MONTHS, heat_map, templates
from services.research.engine import performance
from services.research.reports.svg_charts import (
    HALF,
    LINES,
    Series,
    Sessions,
    chart,
    legend,
    money,
    percent,
)
from services.research.walk_forward.files import Judged, Made, summary


def render(made: Made) -> str:
    """The whole page."""
    sessions = made.judged[0].walked.stitched.sessions
    return (
        templates()
        .get_template("wf_report.html.j2")
        .render(
            told=msgspec.to_builtins(summary(made), builtin_types=()),
            title=", ".join(each.name for each in made.judged),
            together=_together(made, sessions),
            months=MONTHS,
            strategies=[_strategy(made, each) for each in made.judged],
        )
    )


def _together(made: Made, sessions: Sessions) -> Markup:
    lines = [
        Series(each.name, each.walked.stitched.equity, LINES[place % len(LINES)])
        for place, each in enumerate(made.judged)
    ]
    if made.held:
        lines = [Series(made.held.name, made.held.equity, "theirs"), *lines]
    return legend(lines[::-1]) + chart(sessions, lines, money, height=270, title="Out of sample")


def _strategy(made: Made, each: Judged) -> dict[str, Any]:
    walked = each.walked
    return {
        "name": each.name,
        "metrics": msgspec.to_builtins(each.metrics),
        "honesty": msgspec.to_builtins(each.honesty),
        "banded": _banded(each),
        "drawdown": _drawdown(each),
        "drift": _drifts(each),
        "years": heat_map(
            walked.stitched.sessions, walked.stitched.equity, walked.stitched.starting_cash
        ),
        "splits": [_split(made, each, place) for place in range(len(walked.splits))],
    }


def _banded(each: Judged) -> Markup:
    start, stitched = each.walked.stitched.starting_cash, each.walked.stitched
    low, middle, high = each.band.equity * start
    lines = [
        Series("nine of ten reorderings of the same days lie within", high, "edge"),
        Series("", low, "edge"),
        Series("their middle", middle, "theirs"),
        Series(each.name, stitched.equity, "ours"),
    ]
    picture = chart(
        stitched.sessions, lines, money, height=230, title=f"{each.name} with its bootstrap band"
    )
    return legend([lines[3], lines[2], lines[0]]) + picture


def _drawdown(each: Judged) -> Markup:
    falls = [Series("drawdown", performance.drawdown(each.walked.returns), "loss", fill=True)]
    return chart(
        each.walked.stitched.sessions, falls, percent, height=140, title=f"Drawdown of {each.name}"
    )


def _drifts(each: Judged) -> list[dict[str, Any]]:
    """Per parameter the value of each session out of sample, as steps."""
    found = []
    for name, drift in each.honesty.drift.items():
        steps = np.concatenate(
            [
                np.full(split.result.sessions.size, float(split.values[name]))
                for split in each.walked.splits
            ]
        )
        picture = chart(
            each.walked.stitched.sessions,
            [Series(name, steps, "ours")],
            lambda value: f"{value:g}",
            height=120,
            title=f"{name} chosen",
            width=HALF,
        )
        found.append({"name": name, "drift": msgspec.to_builtins(drift), "picture": picture})
    return found


def _split(made: Made, each: Judged, place: int) -> dict[str, Any]:
    split, sessions = each.walked.splits[place], made.plan.market.panel.sessions
    fold = split.fold
    return {
        "number": fold.number,
        "train": _dates(sessions, fold.train_first, fold.train_last),
        "test": _dates(sessions, fold.test_first, fold.test_last),
        "values": ", ".join(f"{name} {value}" for name, value in split.values.items()),
        "trained": split.trained,
        "metrics": msgspec.to_builtins(split.tested.metrics),
    }


def _dates(sessions: Sessions, first: int, last: int) -> str:
    return f"{sessions[first]} – {sessions[last]}"
