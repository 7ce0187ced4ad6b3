"""docs/BENCHMARKS.md out of what was measured."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.bench import panel, rules

if TYPE_CHECKING:
    from tests.bench.research import Line

NAMES = {"ours": "Kobe81", "vectorbt": "vectorbt", "backtesting": "backtesting.py"}
WORK = {
    "w1": "W1: Donchian 20, stop 2 ATR, out after 20 bars",
    "w2": "W2: RSI(2) ≤ 10 above SMA200, out at RSI ≥ 70 or after 5 bars",
    "w3": "W3: walk-forward of 36 parameter sets on 36 windows",
}


def page(
    lines: Sequence[Line],
    grown: Mapping[str, Line],
    product: Mapping[str, Any],
    whole: Mapping[str, Mapping[str, float]],
    queue: Mapping[str, float] | None,
) -> str:
    parts = [
        *_opening(),
        *_beside(lines),
        *_growth(lines, grown, product),
        *_product(product),
        *_whole(whole),
    ]
    if queue:
        parts += _queue(queue)
    return "\n".join(parts) + "\n"


def _opening() -> Iterator[str]:
    yield "# Benchmarks\n"
    yield (
        f"Written by `make bench` on a machine of {os.cpu_count()} cores, others' work beside it. Read ratios, not "
        "seconds: they are of one run, each engine in a process of its own on the same files, medians of warm runs."
    )
    yield "\n## Beside others\n"
    yield (
        f"A made panel of {panel.SYMBOLS} symbols × {panel.BARS:,} sessions ({rules.TRAIN}/{rules.TEST} windows in "
        "W3). The rules are chosen so that every engine can do the same work; trades and P&L show that it did. They "
        "are not the product's rules (those are W4 and W5 below): for W1 to W3 the product's indicator kernels and "
        "its way of walking a symbol's row are used by a kernel of the bench (`tests/bench/ours.py`). \\* scaled "
        f"to {panel.SYMBOLS} symbols from fewer, because the engine takes one after another; its trades and P&L are "
        "of those it did, and stand beside ours on the same ones. Other engines are not run here."
    )


def _beside(lines: Sequence[Line]) -> Iterator[str]:
    for work, title in WORK.items():
        yield f"\n**{title}**\n"
        yield "| engine | symbols | seconds | times ours | trades | P&L | import + first call | peak MB |"
        yield "|---|---|---|---|---|---|---|---|"
        for line in lines:
            if line.work == work:
                yield _row(line, _mine(lines, line))
    floor = next(line for line in lines if line.work == "floor").seconds
    mine = _mine(lines, next(line for line in lines if line.work == "w1"))
    yield f"\nReading all prices once takes {floor:.4f} s; W1 takes {mine / floor:.1f} times that."


def _mine(lines: Sequence[Line], beside: Line) -> float:
    """Our seconds for the same work: on the same symbols, or on all where the line's seconds are scaled to all."""
    symbols = panel.SYMBOLS if beside.scale != 1 else beside.symbols
    same = [
        line
        for line in lines
        if (line.work, line.engine, line.symbols) == (beside.work, "ours", symbols)
    ]
    return statistics.median(line.seconds for line in same)


def _row(line: Line, mine: float) -> str:
    if line.told is None:
        return f"| {NAMES[line.engine]} | {line.symbols} | not installed here | | | | | |"
    mark = r"\*" if line.scale != 1 else ""
    ratio = "" if line.engine == "ours" else f"{line.seconds / mine:,.1f}"
    told = line.told
    first = f"{told['import'] + told['first']:.1f} s"
    numbers = f"{told['trades']:,} | {told['pnl']:,.2f} | {first} | {told['peak']:.0f}"
    return f"| {NAMES[line.engine]} | {line.symbols} | {line.seconds:.4f}{mark} | {ratio} | {numbers} |"


def _growth(
    lines: Sequence[Line], grown: Mapping[str, Line], product: Mapping[str, Any]
) -> Iterator[str]:
    whole = min(
        line.seconds
        for line in lines
        if (line.work, line.engine, line.symbols) == ("w1", "ours", panel.SYMBOLS)
    )
    yield "\n## Growth\n"
    yield "| twice the | W1 takes | W4 takes |"
    yield "|---|---|---|"
    for name, half in grown.items():
        by = statistics.median(product["w4"]) / statistics.median(product[f"w4_half_{name}"])
        yield f"| {name} | ×{whole / half.seconds:.2f} | ×{by:.2f} |"


def _product(product: Mapping[str, Any]) -> Iterator[str]:
    metrics = product["w4_metrics"]
    trades, pnl = product["w5_result"]
    made = metrics["end_equity"] - metrics["start_equity"]
    yield "\n## The product itself\n"
    yield (
        f"Donchian Breakout and ICT Turtle Soup by the product's own rules (shared cash, costs, all metrics) on "
        f"{product['symbols']} symbols × {product['bars']:,} sessions of real bars.\n"
    )
    yield "| | seconds | trades | P&L |"
    yield "|---|---|---|---|"
    yield f"| W4: backtest, warm, bars open | {_median(product['w4'])} | {metrics['trades']:,} | {made:,.2f} |"
    yield f"| W4, first call of a process | {product['w4_first']:.4f} | | |"
    yield f"| W5: walk-forward of 12 sets each, compute | {_median(product['w5'])} | {trades:,} | {pnl:,.2f} |"
    if archive := product.get("archive"):
        yield f"| opening the bars from the archive | {_median(archive['open'])} | | |"
    yield f"| opening the bars from one Parquet file | {product['open_file']:.4f} | | |"
    mapped = f"; on the archive's memory-mapped arrays {archive['peak']:.0f} MB" if archive else ""
    yield f"\nPeak memory of a process that reads the file and runs W4: {product['peak']:.0f} MB{mapped}."


def _whole(whole: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    yield "\n## Whole commands, from a cold start\n"
    yield "| | seconds | peak MB |"
    yield "|---|---|---|"
    for name, found in whole.items():
        yield f"| {name} | {found['seconds']:.2f} | {found['peak']:.0f} |"


def _queue(queue: Mapping[str, float]) -> Iterator[str]:
    yield "\n## Through the queue\n"
    yield "| | seconds |"
    yield "|---|---|"
    yield f"| W5 on this machine's threads | {queue['local']:.2f} |"
    yield f"| W5 by two workers that are warm | {queue['queued']:.2f} (×{queue['queued'] / queue['local']:.2f}) |"
    yield f"| a grid of {queue['sets']:.0f} sets, one worker | {queue['one']:.2f} |"
    yield f"| the same, two workers | {queue['two']:.2f} (×{queue['one'] / queue['two']:.2f} faster) |"


def _median(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.4f}"
