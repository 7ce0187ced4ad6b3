"""What all report pages share: templates, number formats, and the table of monthly returns.

Called by the reports. Everything is escaped; nothing needs the network.
"""

from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from services.research.engine import performance
from services.research.reports.svg_charts import Floats, Sessions
from shared.schemas.json_types import JsonObject

TEMPLATES = Path(__file__).parent / "templates"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PALEST_SCALE = 0.005
"""A run whose every month moved less than this is shown pale: colour means something happened."""


def templates(*more: Path) -> jinja2.Environment:
    """The environment that renders them, with style sheet and number formats."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([TEMPLATES, *more]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters |= {"money": _dollars, "share": _share, "number": _number, "words": words}
    environment.globals |= {
        "css": Markup((TEMPLATES / "report.css").read_text())  # noqa: S704  our own file
    }
    return environment


def heat_map(sessions: Sessions, equity: Floats, start: float) -> list[JsonObject]:
    """Per year its twelve monthly returns (None: not in the run), its own, and cell shades."""
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


def _cell(value: float | None, most: float) -> JsonObject | None:
    if value is None:
        return None
    text = f"{value * 100:+.{1 if most >= 0.01 else 2}f}"
    style = "gain" if value >= 0 else "loss"
    return {
        "text": text.replace("-", "−"),
        "style": style,
        "strength": f"{min(1.0, abs(value) / most):.2f}",
    }


def _dollars(value: float | None) -> str:
    return "–" if value is None else f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def _share(value: float | None, form: str = ".1%") -> str:
    return "–" if value is None else format(value, form)


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else format(value, form)


def words(name: str) -> str:
    return name.replace("_", " ")
