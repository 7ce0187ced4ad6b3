"""Walk-forwards, showdowns and Monte Carlo runs as tables for people."""

from collections.abc import Sequence
from typing import Any

import msgspec

from services.console.cli.output import (
    number,
    print_comparison,
    print_lines,
    print_rows,
    print_warnings,
)
from shared.schemas.json_types import JsonMapping

WALK_ROWS = (
    ("Alpha a year", ("head", "alpha"), "+.1%"),
    ("  its t", ("head", "alpha_t"), "+.1f"),
    ("Beta", ("head", "beta"), ".2f"),
    ("Benchmark at its exposure", ("head", "matched_return"), "+.1%"),
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


def print_walk(summary: JsonMapping) -> None:
    """Strategies side by side, the benchmark beside them, then costs and warnings."""
    facts: JsonMapping = msgspec.to_builtins(summary, builtin_types=())
    strategies: JsonMapping = facts["strategies"]
    benchmark: JsonMapping = facts["benchmark"] or {}
    period, universe = facts["period"], facts["universe"]
    title = (
        "Walk-forward, out of sample",
        (
            f"{period['first']} to {period['last']}, {period['sessions']:,} sessions in "
            f"{facts['splits']} windows, {universe['symbols']:,} symbols of "
            f"{facts['inputs']['bars']}"
        ),
    )
    rows = [
        (
            label,
            [number(_at(each, path), form) for each in strategies.values()]
            + ([number(benchmark.get(str(path[-1])), form)] if benchmark else []),
        )
        for label, path, form in WALK_ROWS
    ]
    for place, cost in enumerate(next(iter(strategies.values()))["robustness"]["costs"]):
        cells = [
            number(each["robustness"]["costs"][place]["total_return"], "+.2%")
            for each in strategies.values()
        ]
        label = f"Total return at {cost['slippage_bps']} bps"
        rows.append((label, cells + ([""] if benchmark else [])))
    print_comparison(title, [*strategies, *([benchmark["name"]] if benchmark else [])], rows)
    print_lines(f"{name}: {each['head']['sentence']}" for name, each in strategies.items())
    print_warnings(facts["warnings"])


def _at(found: Any, path: Sequence[str | int]) -> Any:
    for name in path:
        found = found[name]
    return found


SHOWN = (
    ("Return", "total_return", "+.2%"),
    ("A year", "cagr", "+.2%"),
    ("Sharpe", "sharpe", ".2f"),
    ("Alpha", "alpha", "+.1%"),
    ("Beta", "beta", ".2f"),
    ("Drawdown", "max_drawdown", ".1%"),
    ("Trades", "trades", ",d"),
    ("Won", "win_rate", ".0%"),
    ("Factor", "profit_factor", ".2f"),
)


def print_showdown(summary: JsonMapping) -> None:
    """A row a strategy, the benchmark last."""
    facts: JsonMapping = msgspec.to_builtins(summary, builtin_types=())
    period = facts["period"]
    title = (
        f"{period['first']} to {period['last']}, {facts['symbols']:,} symbols of {facts['bars']}"
    )
    competitors = [
        (name, {**metrics, **facts["heads"][name]}) for name, metrics in facts["strategies"].items()
    ]
    if benchmark := facts["benchmark"]:
        competitors.append((benchmark["name"], benchmark))
    rows = [
        (name, *(number(metrics.get(column), form) for _, column, form in SHOWN))
        for name, metrics in competitors
    ]
    print_rows(title, ("", *(label for label, _, _ in SHOWN)), rows, empty="Nothing to compare.")
    print_warnings(facts["warnings"])


def print_draws(summary: JsonMapping) -> None:
    """Quantiles of what was drawn, beside what was."""
    facts: JsonMapping = msgspec.to_builtins(summary, builtin_types=())
    title = f"{', '.join(facts['strategies'])}: {facts['draws']['samples']:,} histories drawn anew"
    columns = ("", *(f"{cut:.0%}" for cut in facts["cuts"]), "as it was")
    rows = [
        (
            f"{name.replace('_', ' ')}, {label} drawn",
            *(number(value, form) for value in drawn[name]),
            number(facts["actual"][name], form),
        )
        for label, drawn in (("days", facts["days"]), ("trade sessions", facts["trade_sessions"]))
        for name, form in (("total_return", "+.1%"), ("max_drawdown", ".1%"))
    ]
    print_rows(title, columns, rows, empty="Nothing was drawn.")
    days = facts["days"]
    print_lines(
        [
            (
                f"Of the histories with days drawn anew, {days['loss_probability']:.1%} end with a "
                f"loss and {days['ruin_probability']:.1%} lose half on the way."
            )
        ]
    )
