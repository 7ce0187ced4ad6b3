"""A recorded Alpaca, whole.

The simulated broker trades, a data API beside it serves bars, one clock for both.

`python -m tests.recorded.paper` serves it for containers. The broker's day follows the clock:
before each request it is moved to the stage that the instant belongs to.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import Clock
from shared.runtime.config.universe_list import read_universe
from shared.runtime.recorded_time import NAME, StretchedClock
from shared.schemas.values import Bar, Stage
from tests.recorded.alpaca import KEY_ID, SECRET, Alpaca, Keyed
from tests.recorded.market import NEW_YORK, RecordedMarket, walks

ACCOUNT = "PA00000001"
CASH = Decimal(100_000)
HISTORY = dt.timedelta(days=730)
DATA_PATHS = ("/v2/stocks/bars", "/v1/corporate-actions")
STAGES = (
    (dt.time(9, 30), Stage.OPEN),
    (dt.time(15, 54), Stage.BAR),
    (dt.time(15, 54, 30), Stage.CLOSE),
    (dt.time(16, 0), Stage.MARK),
)
"""From which wall time on the broker stands at a stage; before the first at START."""


class MarketTable:
    """A recorded market as the simulated exchange reads it."""

    def __init__(self, market: RecordedMarket) -> None:
        self._market = market

    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        columns = self._market.between(symbol, session, session)
        if not columns["close"].size:
            return None
        prices = {name: Decimal(str(columns[name][0])) for name in ("open", "high", "low", "close")}
        return Bar(**prices)

    def symbols(self) -> Collection[str]:
        return self._market.bars.symbols

    def sessions(self) -> Sequence[dt.date]:
        return self._market.days


class PaperAlpaca:
    """The ASGI app."""

    def __init__(self, market: RecordedMarket, clock: Clock) -> None:
        self._market, self._clock = market, clock
        exchange = Exchange(MarketTable(market), cash=CASH, number=ACCOUNT, clock=clock)
        self.simulator = Simulator(exchange, clock=clock)
        self._trading: ASGIApp = create_app(
            self.simulator, key_id=KEY_ID, secret=SECRET, test=True, clock=clock
        )
        routes = Alpaca(market, clock.now).data_routes()
        self._data: ASGIApp = Keyed(Starlette(routes=routes), KEY_ID, SECRET)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._follow_clock()
        is_data = scope["type"] == "http" and scope["path"].startswith(DATA_PATHS)
        await (self._data if is_data else self._trading)(scope, receive, send)

    def _follow_clock(self) -> None:
        now = self._clock.now().astimezone(NEW_YORK)
        days = [day for day in self._market.days if day <= now.date()]
        if not days:
            return
        stage = Stage.MARK if days[-1] < now.date() else stage_at(now.time())
        self.simulator.advance(days[-1], stage, self._clock.now())


def stage_at(time: dt.time) -> Stage:
    stage = Stage.START
    for begins, each in STAGES:
        stage = each if time >= begins else stage
    return stage


def made_market(clock: StretchedClock, symbols: Sequence[str]) -> RecordedMarket:
    """Random walks around twelve dollars up to the last session the clock will see."""
    last = clock.stretches[-1].start.date()
    sessions = sessions_between(last - HISTORY, last).tolist()
    return RecordedMarket(walks(sorted(symbols), sessions, seed=21, first=12.0))


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.recorded.paper")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    chosen = parser.parse_args()
    clock = StretchedClock.parse(os.environ[NAME])
    app: Any = PaperAlpaca(made_market(clock, read_universe("starter")), clock)
    uvicorn.run(app, host=chosen.host, port=chosen.port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
