"""What fetching costs: `python -m tests.bench.vendors` backfills and keeps up from recorded vendors, and prints figures.

Called by `make bench`. The vendor is a process of its own on the same cores: the figures hold both.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.vendor_registry import bars_vendor
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from tests.integration.data_fetcher.recorded_process import KOBE, environ, recorded_process
from tests.recorded.market import RecordedMarket, walks
from tests.recorded.vendor import recorded_vendor

YEARS = ("2016-03-14", "2026-03-13")
UPKEEP_SYMBOLS = 900


@dataclass(frozen=True)
class Figure:
    """One line of the page."""

    what: str
    vendor: str
    seconds: float
    megabytes: float | None = None


def backfill(vendor: str, symbols: int, folder: Path) -> Figure:
    """Ten years of made bars, as `kobe data fetch --concurrency 4` does it from a cold start."""
    universe = folder / "universe.csv"
    universe.write_text("symbol\n" + "\n".join(f"S{n:03}" for n in range(symbols)) + "\n")
    arguments = ("--symbols", str(symbols), "--first", YEARS[0], "--last", YEARS[1])
    with recorded_process(vendor, *arguments) as url:
        env = environ(url, folder / "archive")
        command = [
            *(*KOBE, "data", "fetch", "--universe", str(universe), "--vendor", vendor),
            *("--start", YEARS[0], "--end", YEARS[1], "--concurrency", "4", "--json"),
        ]
        begun = time.monotonic()
        process = subprocess.Popen(
            command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
    if status:
        raise SystemExit(f"the backfill from {vendor} failed with status {status}")
    return Figure(
        f"backfill, {symbols} symbols × 10 years", vendor, seconds, usage.ru_maxrss / 1024
    )


def upkeep(vendor: str, folder: Path) -> Figure:
    """One more session of 900 symbols into an archive of a year."""
    sessions = sessions_between(dt.date(2025, 3, 3), dt.date(2026, 3, 13)).tolist()
    symbols = tuple(f"S{n:03}" for n in range(UPKEEP_SYMBOLS))
    market = RecordedMarket(walks(symbols, sessions, seed=3))
    clock = ManualClock(dt.datetime.combine(sessions[-1], dt.time(22), dt.UTC))
    with ExitStack() as stack:
        place = recorded_vendor(vendor, market, stack, folder, clock).place
        keeper = ArchiveUpdater(
            folder / "archive",
            vendor,
            bars_vendor(vendor, place),
            Universe(symbols=symbols, history_years=1),
        )
        keeper.fetch(sessions[-2])
        begun = time.monotonic()
        keeper.fetch(sessions[-1])
        seconds = time.monotonic() - begun
    return Figure(f"upkeep of a session, {UPKEEP_SYMBOLS} symbols", vendor, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.vendors")
    parser.add_argument("--symbols", type=int, default=506)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    figures = []
    for vendor in ("massive", "alpaca"):
        for measure in (lambda v, f: backfill(v, chosen.symbols, f), upkeep):
            with tempfile.TemporaryDirectory() as folder:
                figures.append(measure(vendor, Path(folder)))
    if chosen.json:
        sys.stdout.write(json.dumps([msgspec.to_builtins(figure) for figure in figures]) + "\n")
        return
    for figure in figures:
        memory = f", peak {figure.megabytes:.0f} MB" if figure.megabytes else ""
        sys.stdout.write(f"{figure.what}, {figure.vendor}: {figure.seconds:.2f} s{memory}\n")


if __name__ == "__main__":
    main()
