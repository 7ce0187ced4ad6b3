"""Research results as tables for people: a run's summary, a strategy's proof."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from services.console.cli.output import terminal

ROWS = (
    ("Total return", "total_return", "+.2%"),
    ("Growth a year", "cagr", "+.2%"),
    ("Sharpe", "sharpe", ".2f"),
    ("Sortino", "sortino", ".2f"),
    ("Volatility", "volatility", ".1%"),
    ("Deepest drawdown", "max_drawdown", ".1%"),
    ("Longest drawdown, sessions", "longest_drawdown", ",d"),
    ("Calmar", "calmar", ".2f"),
    ("Trades", "trades", ",d"),
    ("Win rate", "win_rate", ".1%"),
    ("Profit factor", "profit_factor", ".2f"),
    ("Expectancy a trade", "expectancy", ",.2f"),
    ("Bars held on average", "average_hold", ".1f"),
    ("Exposure on average", "exposure", ".1%"),
    ("Turnover a year", "turnover", ".1f"),
    ("Costs paid", "costs", ",.2f"),
    ("Final equity", "end_equity", ",.2f"),
)


def print_run(summary: Mapping[str, Any]) -> None:
    """Metrics beside the benchmark's, then what was not taken, then the warnings."""
    metrics: Mapping[str, Any] = msgspec.to_builtins(summary["metrics"])
    held: Mapping[str, Any] = summary["benchmark"] or {}
    period, names = summary["period"], ", ".join(summary["inputs"]["strategies"])
    table = Table(
        title=f"{names}\n{period['first']} to {period['last']}, {period['sessions']:,} sessions, "
        f"{summary['universe']['symbols']:,} symbols of {escape(summary['inputs']['bars'])}",
        title_justify="left",
        header_style="bold",
    )
    table.add_column("")
    table.add_column("this run", justify="right", style="bold")
    if held:
        table.add_column(str(held["name"]), justify="right", max_width=24)
    for label, name, form in ROWS:
        cells = [_number(metrics[name], form), *([_number(held.get(name), form)] if held else [])]
        table.add_row(label, *cells)
    terminal.print(table)
    if summary["not_taken"]:
        skipped = ", ".join(
            f"{count:,} {reason.replace('_', ' ')}"
            for reason, count in summary["not_taken"].items()
        )
        terminal.print(f"Signals not taken: {skipped}.", markup=False)
    for warning in summary["warnings"]:
        terminal.print(f"! {warning}", style="yellow", markup=False)


def print_proof(name: str, proof: Any) -> None:
    for finding in proof.findings:
        terminal.print(f"✗ {finding}", style="red", markup=False)
    looked = f"{proof.signals:,} signals, {proof.cuts:,} cuts"
    if not proof.findings:
        terminal.print(
            f"✓ {name} does not look ahead and answers as it must ({looked}).",
            style="green",
            markup=False,
        )
    if not proof.signals and not proof.findings:
        terminal.print(
            "It gave no signal on these bars, so little is proven; try others with --bars.",
            style="yellow",
        )


def _number(value: Any, form: str) -> str:
    return "–" if value is None else format(value, form)
