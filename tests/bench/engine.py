"""One engine on one workload, in a process of its own.

`python -m tests.bench.engine ENGINE WORK FOLDER SYMBOLS BARS RUNS` prints one JSON object: import
and first call in seconds, warm runs, trades, P&L, peak memory. Started by research.py.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

MODULES = {"ours": "ours", "vectorbt": "with_vectorbt", "backtesting": "with_backtesting"}


def main(engine: str, work: str, folder: str, symbols: str, bars: str, runs: str) -> None:
    begun = time.perf_counter()
    module = importlib.import_module(f"tests.bench.{MODULES[engine]}")
    imported = time.perf_counter() - begun
    from tests.bench import panel
    from tests.bench.memory import peak

    data = panel.mapped(Path(folder), int(symbols), int(bars))
    given = module.prepared(data) if hasattr(module, "prepared") else data
    seconds = []
    for _ in range(int(runs) + 1):
        begun = time.perf_counter()
        trades, pnl = module.WORK[work](given)
        seconds.append(time.perf_counter() - begun)
    told = {
        "import": imported,
        "first": seconds[0],
        "warm": seconds[1:],
        "trades": trades,
        "pnl": pnl,
        "peak": peak(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
