"""wf_report.html of a walk-forward: one file that needs no network, for the screen and for paper.

Called by `kobe walk-forward`. It computes nothing that wf_summary.json does not already say.
"""

import msgspec
import numpy as np
from markupsafe import Markup

from services.research.engine import performance
from services.research.reports.pages import MONTHS, heat_map, templates
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
from services.research.walk_forward.files import AssessedWalk, WalkForwardReport, summary
from shared.schemas.json_types import JsonObject


def render(report: WalkForwardReport) -> str:
    """The whole page."""
    sessions = report.walks[0].walk.stitched.sessions
    return (
        templates()
        .get_template("wf_report.html.j2")
        .render(
            summary=msgspec.to_builtins(summary(report), builtin_types=()),
            title=", ".join(each.name for each in report.walks),
            together=_equity_picture(report, sessions),
            months=MONTHS,
            strategies=[_strategy(report, each) for each in report.walks],
        )
    )


def _equity_picture(report: WalkForwardReport, sessions: Sessions) -> Markup:
    lines = [
        Series(each.name, each.walk.stitched.equity, LINES[place % len(LINES)])
        for place, each in enumerate(report.walks)
    ]
    if report.benchmark:
        lines = [Series(report.benchmark.name, report.benchmark.equity, "theirs"), *lines]
    return legend(lines[::-1]) + chart(sessions, lines, money, height=270, title="Out of sample")


def _strategy(report: WalkForwardReport, each: AssessedWalk) -> JsonObject:
    walk = each.walk
    return {
        "name": each.name,
        "head": msgspec.to_builtins(each.head),
        "metrics": msgspec.to_builtins(each.metrics),
        "robustness": msgspec.to_builtins(each.robustness),
        "banded": _band_picture(each),
        "drawdown": _drawdown_picture(each),
        "drift": _drift_pictures(each),
        "years": heat_map(
            walk.stitched.sessions, walk.stitched.equity, walk.stitched.starting_cash
        ),
        "splits": [_split(report, each, place) for place in range(len(walk.splits))],
    }


def _band_picture(each: AssessedWalk) -> Markup:
    start, stitched = each.walk.stitched.starting_cash, each.walk.stitched
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


def _drawdown_picture(each: AssessedWalk) -> Markup:
    falls = [Series("drawdown", performance.drawdown(each.walk.returns), "loss", fill=True)]
    return chart(
        each.walk.stitched.sessions, falls, percent, height=140, title=f"Drawdown of {each.name}"
    )


def _drift_pictures(each: AssessedWalk) -> list[JsonObject]:
    """Per parameter the value of each session out of sample, as steps."""
    found = []
    for name, drift in each.robustness.drift.items():
        steps = np.concatenate(
            [
                np.full(split.result.sessions.size, float(split.values[name]))
                for split in each.walk.splits
            ]
        )
        picture = chart(
            each.walk.stitched.sessions,
            [Series(name, steps, "ours")],
            lambda value: f"{value:g}",
            height=120,
            title=f"{name} chosen",
            width=HALF,
        )
        found.append({"name": name, "drift": msgspec.to_builtins(drift), "picture": picture})
    return found


def _split(report: WalkForwardReport, each: AssessedWalk, place: int) -> JsonObject:
    split, sessions = each.walk.splits[place], report.plan.market.panel.sessions
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
