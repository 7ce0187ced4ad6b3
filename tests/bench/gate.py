"""How fast the gate decides a scan of 1,800 signals, everything but the server included. Prints; asserts nothing.

Real loop, codec, envelopes and signatures on a memory server. Run: python -m tests.bench.gate
"""

from __future__ import annotations

import logging
import resource
import statistics
import time
from decimal import Decimal
from typing import Any

import structlog

from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.schemas import messages as m
from tests.builders import scan_ref
from tests.integration.risk_gate.floor import Floor, started
from tests.unit.risk_gate.desk import (
    LOOSE,
    account_seen,
    completed,
    gate_settings,
    quote_of,
    signal,
)
from tests.unit.risk_gate.test_gate_restarts import OPENED

RUNS = 3
SIGNALS = 1800
PART = 400
GENEROUS = {**LOOSE, "daily_notional": {"maximum": "10000000"}}


def measured(tables: dict[str, dict[str, Any]]) -> tuple[float, int]:
    """Seconds from the first part read to the last verdict written, and how many were approved."""
    floor = Floor(gate_settings(tables, sizing=Sizing(SizingMethod.BUDGET, Decimal(75))))
    floor.write(OPENED)
    floor.write(account_seen("100000000"))
    gate = started(floor.gate())
    gate.turn(0)
    symbols = [f"S{number // 2:03}" for number in range(SIGNALS)]
    wishes = [
        signal(
            symbol, strategy=("donchian", "turtle_soup")[number % 2], score=Decimal(number) / 7919
        )
        for number, symbol in enumerate(symbols)
    ]
    starts = range(0, SIGNALS, PART)
    for part, start in enumerate(starts, 1):
        floor.write(completed(scan_ref(), wishes[start : start + PART], part=part, of=len(starts)))
    names = sorted(set(symbols))
    cuts = range(0, len(names), PART)
    for part, start in enumerate(cuts, 1):
        found = tuple(quote_of(name, scan_ref()) for name in names[start : start + PART])
        floor.write(
            m.QuotesSeen(scan=scan_ref(), part=part, parts=len(cuts), quotes=found, unquoted=())
        )
    begun = time.perf_counter()
    gate.turn(0)
    taken = time.perf_counter() - begun
    orders = floor.orders()
    assert len(orders) >= SIGNALS
    return taken, sum(isinstance(order, m.OrderApproved) for order in orders)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    for name, tables in (("default limits", {}), ("limits that do not throttle", GENEROUS)):
        runs = [measured(tables) for _ in range(RUNS)]
        seconds = statistics.median(taken for taken, _ in runs)
        print(
            f"{name}: {SIGNALS} signals in {seconds:.2f} s = {SIGNALS / seconds:.0f} decisions/s, "
            f"{runs[0][1]} approved (median of {RUNS})"
        )
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
