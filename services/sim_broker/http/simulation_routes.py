"""What steers the simulation, under /sim: advance, state, requests, reset, faults. Called by scheduler and tests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.fault_injection import Fault
from services.sim_broker.http.alpaca_json import Json
from services.sim_broker.http.middleware import Requests
from services.sim_broker.http.responses import bad, refused, said
from services.sim_broker.http.trade_updates import Feed
from services.sim_broker.number_format import plain
from services.sim_broker.simulator import Desk
from shared.runtime.observability.samples import MetricSample
from shared.schemas.values import Stage, Value


class Advance(Value, frozen=True, kw_only=True):
    """`at` sets the broker's clock where the session's hours are not the usual."""

    session: dt.date
    stage: Stage
    at: dt.datetime | None = None


class Reset(Value, frozen=True, kw_only=True):
    """The next account's number; None counts on."""

    account_number: str | None = None


class Control:
    def __init__(self, desk: Desk, requests: Requests, feed: Feed) -> None:
        self._desk, self._requests, self._feed = desk, requests, feed

    def _state(self) -> Json:
        return state(self._desk, self._feed.listeners)

    async def advance(self, request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body(), type=Advance)
        except msgspec.MsgspecError as error:
            return bad(f"advance wants session, stage and perhaps at: {error}")
        refusal = self._desk.advance(wanted.session, wanted.stage, wanted.at)
        return refused(refusal) if refusal else said(self._state())

    async def state(self, _: Request) -> Response:
        return said(self._state())

    async def requests(self, request: Request) -> Response:
        """The last ones, oldest first; `after` leaves out those up to that number."""
        after = request.query_params.get("after", "0")
        return said(
            [each for each in self._requests.seen if each.n > int(after if after.isdigit() else 0)]
        )

    async def reset(self, request: Request) -> Response:
        try:
            wanted = msgspec.json.decode(await request.body() or b"{}", type=Reset)
        except msgspec.MsgspecError as error:
            return bad(str(error))
        self._desk.reset(wanted.account_number)
        return said(self._state())

    async def faults(self, request: Request) -> Response:
        """GET what waits, POST one or a list more, DELETE all."""
        if request.method == "DELETE":
            self._desk.faults.clear()
        elif request.method == "POST":
            try:
                asked = msgspec.json.decode(await request.body(), type=Fault | list[Fault])
            except msgspec.MsgspecError as error:
                return bad(str(error))
            for fault in asked if isinstance(asked, list) else [asked]:
                self._desk.faults.add(fault)
        return said(self._desk.faults.waiting)


def routes(desk: Desk, requests: Requests, feed: Feed, *, test: bool) -> list[Route]:
    face = Control(desk, requests, feed)
    steering = [
        Route("/sim/advance", face.advance, methods=["POST"]),
        Route("/sim/state", face.state, methods=["GET"]),
        Route("/sim/requests", face.requests, methods=["GET"]),
        Route("/sim/reset", face.reset, methods=["POST"]),
    ]
    faults = Route("/sim/faults", face.faults, methods=["GET", "POST", "DELETE"])
    return [*steering, faults] if test else steering


def state(desk: Desk, listeners: int) -> Json:
    """Where the simulation stands and what the account is worth."""
    book = desk.exchange.book
    sessions = desk.exchange.bars.sessions()
    return {
        "account_number": book.account.number,
        "session": book.account.session,
        "stage": book.account.stage if book.account.session else None,
        "at": book.account.at,
        "cash": plain(book.account.cash),
        "equity": plain(book.equity),
        "orders": len(book.orders),
        "open_orders": book.open_count,
        "fills": book.account.fills,
        "listeners": listeners,
        "positions": {symbol: position.qty for symbol, position in book.positions.items()},
        "sessions": {"first": sessions[0], "last": sessions[-1], "count": len(sessions)},
    }


def gauges(desk: Desk) -> Iterable[MetricSample]:
    book = desk.exchange.book
    yield MetricSample(
        "kobe_sim_equity_dollars", float(book.equity), help="Equity of the simulated account"
    )
    yield MetricSample(
        "kobe_sim_cash_dollars", float(book.account.cash), help="Cash of the simulated account"
    )
    yield MetricSample(
        "kobe_sim_orders", len(book.orders), help="Orders the simulated broker has taken"
    )
    yield MetricSample(
        "kobe_sim_open_orders", book.open_count, help="Orders working at the simulated broker"
    )
    yield MetricSample(
        "kobe_sim_positions", len(book.positions), help="Symbols held in the simulated account"
    )
    yield MetricSample("kobe_sim_fills", book.account.fills, help="Fills of the simulated account")
