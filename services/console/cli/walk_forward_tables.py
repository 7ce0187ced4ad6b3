"""Walk-forwards, showdowns and Monte-Carlo runs as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from services.console.cli.output import terminal

WALK_ROWS = (
    ("Total return", ("metrics", "total_return"), "+.2%"),
    ("Growth a year", ("metrics", "cagr"), "+.2%"),
    ("Sharpe", ("metrics", "sharpe"), ".2f"),
    ("Sharpe, nine of ten reorderings from", ("robustness", "band_sharpe", 0), ".2f"),
    ("  to", ("robustness", "band_sharpe", 2), ".2f"),
    ("Deflated Sharpe", ("robustness", "deflated_sharpe"), ".0%"),
    ("Probability of overfitting", ("robustness", "overfitting_probability"), ".0%"),
    ("Objective in training, mean", ("robustness", "trained_objective"), ".2f"),
    ("Deepest drawdown", ("metrics", "max_drawdown"), ".1%"),
    ("Trades", ("metrics", "trades"), ",d"),
    ("Win rate", ("metrics", "win_rate"), ".1%"),
    ("Profit factor", ("metrics", "profit_factor"), ".2f"),
    ("Profitable windows", ("robustness", "stability", "consistency"), ".0%"),
    ("Parameter sets tried", ("robustness", "trials"), ",d"),
)


def print_walk(summary: Mapping[str, Any]) -> None:
    """Strategies side by side, the benchmark beside them, then costs and warnings."""
    plain: Mapping[str, Any] = msgspec.to_builtins(summary, builtin_types=())
    strategies: Mapping[str, Any] = plain["strategies"]
    held: Mapping[str, Any] = plain["benchmark"] or {}
    period, universe = plain["period"], plain["universe"]
    table = Table(
        title=f"Walk-forward, out of sample\n{period['first']} to {period['last']}, "
        f"{period['sessions']:,} sessions in {plain['splits']} windows, "
        f"{universe['symbols']:,} symbols of {escape(plain['inputs']['bars'])}",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("")
    for name in strategies:
        table.add_column(name, justify="right", style="bold")
    if held:
        table.add_column(str(held["name"]), justify="right", max_width=24)
    for label, path, form in WALK_ROWS:
        cells = [_number(_at(found, path), form) for found in strategies.values()]
        table.add_row(label, *cells, *([_number(held.get(str(path[-1])), form)] if held else []))
    for place, cost in enumerate(next(iter(strategies.values()))["robustness"]["costs"]):
        cells = [
            _number(found["robustness"]["costs"][place]["total_return"], "+.2%")
            for found in strategies.values()
        ]
        table.add_row(
            f"Total return at {cost['slippage_bps']} bps", *cells, *([""] if held else [])
        )
    terminal.print(table)
    print_warnings(plain["warnings"])


def print_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        terminal.print(f"! {warning}", style="yellow", markup=False)


def _at(found: Any, path: Sequence[str | int]) -> Any:
    for name in path:
        found = found[name]
    return found


def _number(value: Any, form: str) -> str:
    return "–" if value is None else format(value, form)


SHOWN = (
    ("Return", "total_return", "+.2%"),
    ("A year", "cagr", "+.2%"),
    ("Sharpe", "sharpe", ".2f"),
    ("Drawdown", "max_drawdown", ".1%"),
    ("Trades", "trades", ",d"),
    ("Won", "win_rate", ".0%"),
    ("Factor", "profit_factor", ".2f"),
)


def print_showdown(summary: Mapping[str, Any]) -> None:
    """A row a strategy, the benchmark last."""
    plain: Mapping[str, Any] = msgspec.to_builtins(summary, builtin_types=())
    period = plain["period"]
    title = (
        f"{period['first']} to {period['last']}, "
        f"{plain['symbols']:,} symbols of {escape(plain['bars'])}"
    )
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("", max_width=20)
    for label, _, _ in SHOWN:
        table.add_column(label, justify="right")
    for name, metrics in plain["strategies"].items():
        table.add_row(name, *(_number(metrics[column], form) for _, column, form in SHOWN))
    if held := plain["benchmark"]:
        table.add_row(held["name"], *(_number(held.get(column), form) for _, column, form in SHOWN))
    terminal.print(table)
    print_warnings(plain["warnings"])


def print_draws(summary: Mapping[str, Any]) -> None:
    """Quantiles of what was drawn, beside what was."""
    plain: Mapping[str, Any] = msgspec.to_builtins(summary, builtin_types=())
    title = f"{', '.join(plain['strategies'])}: {plain['draws']['samples']:,} histories drawn anew"
    table = Table(title=title, title_justify="left", header_style="bold")
    table.add_column("")
    for cut in plain["cuts"]:
        table.add_column(f"{cut:.0%}", justify="right")
    table.add_column("as it was", justify="right", style="bold")
    for label, drawn in (("days", plain["days"]), ("trades", plain["trades"])):
        for name, form in (("total_return", "+.1%"), ("max_drawdown", ".1%")):
            cells = [_number(value, form) for value in drawn[name]]
            table.add_row(
                f"{name.replace('_', ' ')}, {label} drawn",
                *cells,
                _number(plain["actual"][name], form),
            )
    terminal.print(table)
    days = plain["days"]
    terminal.print(
        f"Of the histories with days drawn anew, {days['loss_probability']:.1%} end with a loss "
        f"and {days['ruin_probability']:.1%} lose half on the way.",
        markup=False,
    )
