"""A recorded vendor as a process.

`python -m tests.recorded massive|alpaca --bars FILE [--now INSTANT] [--delay S]`.

Prints its URL once it answers, and serves until it is stopped. Benchmarks and tests that kill
things use it; made bars where no file is named.
"""

from __future__ import annotations

import argparse
import datetime as dt
import threading
from pathlib import Path

from shared.domain.market.sessions import sessions_between
from tests.recorded import alpaca, massive
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import RecordedMarket, market_of_file, walks
from tests.recorded.server import serving

FOR_EVER = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.recorded")
    parser.add_argument("vendor", choices=["massive", "alpaca"])
    parser.add_argument("--bars", type=Path)
    parser.add_argument("--symbols", type=int, default=40)
    parser.add_argument("--first", type=dt.date.fromisoformat, default=dt.date(2019, 1, 2))
    parser.add_argument("--last", type=dt.date.fromisoformat, default=dt.date(2020, 12, 31))
    parser.add_argument("--now", type=dt.datetime.fromisoformat)
    parser.add_argument("--delay", type=float, default=0.0)
    chosen = parser.parse_args()
    market = market_of_file(chosen.bars) if chosen.bars else made_market(chosen)
    with serving(app(chosen, market)) as url:
        print(url, flush=True)
        threading.Event().wait()


def app(chosen: argparse.Namespace, market: RecordedMarket) -> Recorder:
    now = chosen.now or dt.datetime.combine(market.days[-1], dt.time(23), dt.UTC)
    if chosen.vendor == "massive":
        recorder = massive.Massive(market).app()
    else:
        recorder = alpaca.Alpaca(market, lambda: now).app()
    if chosen.delay:
        recorder.add(Fault(Kind.LATE, times=FOR_EVER, seconds=chosen.delay))
    return recorder


def made_market(chosen: argparse.Namespace) -> RecordedMarket:
    symbols = [f"S{number:03}" for number in range(chosen.symbols)]
    sessions = sessions_between(chosen.first, chosen.last).tolist()
    return RecordedMarket(walks(symbols, sessions, seed=11))


if __name__ == "__main__":
    main()
