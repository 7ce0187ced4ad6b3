"""Research beside its peers, one run: `make bench` writes docs/BENCHMARKS.md. Asserts nothing.

Every engine reads the same files in a process of its own; times are medians of warm runs, and
trades and P&L stand beside them, so that it shows whether the same work was done.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import panel
from tests.bench.bench_page import page
from tests.requirements import REFERENCE_DATA

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".bench-venv" / "bin" / "python"
RUNS = 5
SLOW_RUNS = 3
ONE_BY_ONE = 100
"""Symbols for engines that take one symbol after another; their seconds are scaled to all of them."""

FEWER = 300
"""Symbols of the walk-forward beside vectorbt, which takes minutes for all of them."""


@dataclass(frozen=True, slots=True)
class Line:
    """One engine on one workload; `scale` is what its seconds were multiplied by."""

    engine: str
    work: str
    symbols: int
    told: dict[str, Any] | None
    scale: float = 1.0

    @property
    def seconds(self) -> float:
        assert self.told is not None
        seconds: float = statistics.median(self.told["warm"]) * self.scale
        return seconds


def engine(
    folder: Path,
    name: str,
    work: str,
    *,
    symbols: int = panel.SYMBOLS,
    bars: int = panel.BARS,
    runs: int = RUNS,
) -> Line:
    python = Path(sys.executable) if name == "ours" else PEERS
    command = [str(python), "-W", "ignore", "-m", "tests.bench.engine", name, work, str(folder)]
    found = _json([*command, str(symbols), str(bars), str(runs)]) if python.exists() else None
    print(f"  {name} {work} {symbols} x {bars}", flush=True)
    return Line(
        name, work, symbols, found, panel.SYMBOLS / symbols if name == "backtesting" else 1.0
    )


def beside(folder: Path) -> list[Line]:
    """Ours before and after each peer's, so that a noisy moment shows."""
    lines = [engine(folder, "ours", "floor")]
    for work in ("w1", "w2"):
        lines.append(engine(folder, "ours", work))
        lines.append(engine(folder, "vectorbt", work))
        lines.append(engine(folder, "backtesting", work, symbols=ONE_BY_ONE, runs=SLOW_RUNS))
        lines.append(engine(folder, "ours", work, symbols=ONE_BY_ONE))
        lines.append(engine(folder, "ours", work))
    lines.append(engine(folder, "ours", "w3"))
    for name, runs in (("ours", RUNS), ("vectorbt", SLOW_RUNS), ("ours", RUNS)):
        lines.append(engine(folder, name, "w3", symbols=FEWER, runs=runs))
    return lines


def growth(folder: Path) -> dict[str, Line]:
    half = {"symbols": (panel.SYMBOLS // 2, panel.BARS), "bars": (panel.SYMBOLS, panel.BARS // 2)}
    return {
        name: engine(folder, "ours", "w1", symbols=size[0], bars=size[1])
        for name, size in half.items()
    }


def cold(command: list[str], runs: int = SLOW_RUNS) -> dict[str, float]:
    """Seconds from nothing to done, and peak memory of it in MB."""
    seconds, peaks = [], []
    for _ in range(runs):
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "services.console.cli.app", *command],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds.append(time.perf_counter() - begun)
        peaks.append(usage.ru_maxrss / 1024)
        if process.returncode:
            raise SystemExit(f"kobe {' '.join(command)} failed with {process.returncode}")
    return {"seconds": statistics.median(seconds), "peak": max(peaks)}


def commands(bars: str, folder: Path) -> dict[str, dict[str, float]]:
    """Whole commands, each from a cold start; a walk-forward begins anew each time."""
    outs = iter(range(100))
    walks = [
        cold(["walk-forward", "--bars", bars, "--out", str(folder / str(next(outs))), "--json"], 1)
        for _ in "123"
    ]
    report = ["--out", str(folder / "backtest")]
    return {
        "`kobe --help`": cold(["--help"]),
        "`kobe backtest --json`, sample bars": cold(["backtest", "--json"]),
        "`kobe backtest --json`": cold(["backtest", "--bars", bars, "--json"]),
        "`kobe backtest --out`, report.html included": cold(["backtest", "--bars", bars, *report]),
        "W5: `kobe walk-forward --out`, wf_report.html included": {
            "seconds": statistics.median(walk["seconds"] for walk in walks),
            "peak": max(walk["peak"] for walk in walks),
        },
    }


def main() -> None:
    bars = REFERENCE_DATA / "data" / "sp500_daily.parquet"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in a process of its own: a child's peak memory begins with that of whoever starts it
        _run(
            [
                sys.executable,
                "-c",
                f"from tests.bench.panel import *; write(Path({name!r}) / 'panel')",
            ]
        )
        lines = beside(folder / "panel")
        grown = growth(folder / "panel")
        source = str(bars) if bars.exists() else "sample"
        product = _json([sys.executable, "-m", "tests.bench.product", source, str(RUNS)])
        if bars.exists():
            _run(
                [
                    sys.executable,
                    "-m",
                    "tests.bench.product",
                    "--archive",
                    source,
                    str(folder / "archive"),
                ]
            )
            url = f"file://{folder / 'archive'}"
            product["archive"] = _json(
                [sys.executable, "-m", "tests.bench.product", url, str(RUNS)]
            )
        whole = commands(source, folder)
        queue = None
        if shutil.which("redis-server"):
            queue = _json([sys.executable, "-m", "tests.bench.queued", source, str(SLOW_RUNS)])
    (ROOT / "docs").mkdir(exist_ok=True)
    text = page(lines, grown, product, whole, queue)
    (ROOT / "docs" / "BENCHMARKS.md").write_text(text)
    print(text)


def _json(command: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_run(command).splitlines()[-1])
    return found


def _run(command: list[str]) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
