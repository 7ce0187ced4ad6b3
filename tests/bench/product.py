"""W4 and W5, the product's own: a backtest and a walk-forward of both canonical strategies, in this process.

`python -m tests.bench.product BARS RUNS` prints one JSON object; with --archive FILE FOLDER it
makes an archive, whose file:// URL is then BARS. Started by research.py.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from services.research.data.dataset import Dataset, open_dataset
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.engine.outcomes import outcomes, rank
from services.research.engine.performance import PerformanceMetrics, measure
from services.research.engine.simulate import run_portfolio
from services.research.strategy_check.selection import select_strategies, signals_of
from services.research.walk_forward.plan import WalkForward, plan
from services.research.walk_forward.thread_runner import ThreadRunner
from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import walk
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import FIELDS, Panel, bars_of
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.bar_files.reader import read_files
from shared.runtime.config.settings import load_settings
from tests.bench.memory import peak

NAMES = ("donchian", "turtle_soup")


def inputs(bars: str) -> Inputs:
    return Inputs(strategies=tuple(StrategyInputs(name=name) for name in NAMES), bars=bars)


def w4(panel: Panel, asked: Inputs) -> PerformanceMetrics:
    """Signals to metrics."""
    found = [
        outcomes(panel, each.name, signals_of(panel, each)) for each in select_strategies(asked)
    ]
    return measure(run_portfolio(panel, asked.names, rank(panel, found), asked.settings))


def timed(work: Callable[[], Any], runs: int) -> tuple[float, list[float], Any]:
    """(first, warm, the last result)."""
    seconds, result = [], None
    for _ in range(runs + 1):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return seconds[0], seconds[1:], result


def part(panel: Panel, symbols: int, bars: int) -> Panel:
    fields = {name: getattr(panel, name)[:symbols, :bars].copy() for name in FIELDS}
    return Panel(panel.symbols[:symbols], panel.sessions[:bars], **fields)


def walking(market: Dataset, asked: Inputs, folder: Path) -> tuple[int, float]:
    settings = load_settings({})
    table = settings.config.research
    wanted = WalkForward(
        inputs=asked,
        train=table.train,
        test=table.test,
        anchored=False,
        objective="sharpe",
        grids={name: table.grids[name] for name in NAMES},
    )
    made = plan(wanted, market, settings)
    walks = walk(made, ThreadRunner(Trials(market), folder))
    trades = sum(len(each.stitched.trades) for each in walks)
    return trades, float(sum(each.stitched.trades.pnl.sum() for each in walks))


def main(bars: str, runs: int) -> None:
    asked = inputs(bars)
    begun = time.perf_counter()
    market = open_dataset(asked, os.environ)
    told: dict[str, Any] = {"open_file": time.perf_counter() - begun}
    panel = market.panel
    rows, columns = panel.shape
    told["symbols"], told["bars"] = rows, columns
    told["w4_first"], told["w4"], metrics = timed(lambda: w4(panel, asked), runs)
    told["w4_metrics"] = msgspec.to_builtins(metrics)
    told["peak"] = peak()
    for name, (symbols, sessions) in {
        "symbols": (rows // 2, columns),
        "bars": (rows, columns // 2),
    }.items():
        half = part(panel, symbols, sessions)
        told[f"w4_half_{name}"] = timed(lambda half=half: w4(half, asked), runs)[1]  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        fresh = iter(range(10_000))
        told["w5_first"], told["w5"], told["w5_result"] = timed(
            lambda: walking(market, asked, Path(folder) / str(next(fresh))), runs
        )
    print(json.dumps(told))


def from_archive(bars: str, runs: int) -> None:
    """W4 once more, on memory-mapped arrays."""
    asked, folder = inputs(bars), Path(bars.removeprefix("file://"))
    first, warm, panel = timed(lambda: BarArchive.open(folder).panel(), runs)
    w4(panel, asked)
    print(json.dumps({"first": first, "open": warm, "peak": peak()}))


def archive(bars: str, folder: str) -> None:
    writer.create(
        Path(folder), bars_of(read_files(Path(bars)).panel), basis=Basis.UNKNOWN, source=""
    )


if __name__ == "__main__":
    if sys.argv[1] == "--archive":
        archive(*sys.argv[2:])
    elif sys.argv[1].startswith("file://"):
        from_archive(sys.argv[1], int(sys.argv[2]))
    else:
        main(sys.argv[1], int(sys.argv[2]))
