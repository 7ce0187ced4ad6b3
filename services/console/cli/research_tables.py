"""Research results as tables for people: a run's summary, a strategy's check."""

from typing import Any

import msgspec

from services.console.cli.output import (
    number,
    print_comparison,
    print_lines,
    print_warnings,
    terminal,
)
from shared.schemas.json_types import JsonMapping

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


HEAD = (
    ("Alpha a year", "alpha", "+.1%"),
    ("Beta", "beta", ".2f"),
    ("Correlation", "correlation", ".2f"),
    ("Benchmark at its exposure", "matched_return", "+.2%"),
)


def print_run(summary: JsonMapping) -> None:
    """Metrics beside the benchmark's, then what was not taken, then the warnings."""
    metrics: JsonMapping = msgspec.to_builtins(summary["metrics"])
    benchmark: JsonMapping = summary["benchmark"] or {}
    period, names = summary["period"], ", ".join(summary["inputs"]["strategies"])
    title = (
        names,
        (
            f"{period['first']} to {period['last']}, {period['sessions']:,} sessions, "
            f"{summary['universe']['symbols']:,} symbols of {summary['inputs']['bars']}"
        ),
    )
    columns = ["this run", *([benchmark["name"]] if benchmark else [])]
    sources = [metrics, *([benchmark] if benchmark else [])]
    head: JsonMapping = msgspec.to_builtins(summary["head"])
    rows = [
        (label, [number(head[name], form), *[""] * (len(columns) - 1)])
        for label, name, form in HEAD
    ]
    rows += [
        (label, [number(each.get(name), form) for each in sources]) for label, name, form in ROWS
    ]
    print_comparison(title, columns, rows)
    print_lines([head["sentence"], _cash(head)])
    if summary["not_taken"]:
        skipped = ", ".join(
            f"{count:,} {reason.replace('_', ' ')}"
            for reason, count in summary["not_taken"].items()
        )
        print_lines([f"Signals not taken: {skipped}."])
    print_warnings(summary["warnings"])


def print_proof(name: str, verdict: Any) -> None:
    """What was found, and in any case what was looked at."""
    print_lines((f"✗ {finding}" for finding in verdict.findings), style="red")
    if not verdict.findings:
        terminal.print(
            f"✓ Within this scope {name} does not look ahead and answers as it must.", style="green"
        )
    print_lines([f"Looked at: {verdict.scope}."])
    if not verdict.scope.signals and not verdict.findings:
        print_lines(
            ["It gave no signal on these bars, so little is proven; try others with --bars."],
            style="yellow",
        )


def _cash(head: JsonMapping) -> str:
    share = f"{head['cash_share']:.0%} of the money lay idle"
    if not head["cash_rate"]:
        return f"{share} and earned nothing here; see --cash-rate."
    return f"{share}; at {head['cash_rate']:.1%} it would have earned {head['cash_earned']:,.2f}."
