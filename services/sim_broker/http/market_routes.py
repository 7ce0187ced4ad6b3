"""Clock, calendar, assets and latest quotes over HTTP: what the simulated market shows at its present stage."""

from __future__ import annotations

import datetime as dt

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange import account_rules as permission
from services.sim_broker.exchange.order import Refusal
from services.sim_broker.http import alpaca_json as replies
from services.sim_broker.http.responses import bad, moment, names, refused, said, said_in_numbers
from services.sim_broker.simulator import Desk


class Market:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def clock(self, _: Request) -> Response:
        exchange = self._desk.exchange
        return said(replies.clock(exchange.book.account, exchange.bars.sessions()))

    async def calendar(self, request: Request) -> Response:
        query = request.query_params
        try:
            start = moment(query["start"]).date() if query.get("start") else dt.date.min
            end = moment(query["end"]).date() if query.get("end") else dt.date.max
        except ValueError:
            return bad("invalid start or end")
        return said(replies.calendar(self._desk.exchange.bars.sessions(), start, end))

    async def assets(self, _: Request) -> Response:
        exchange = self._desk.exchange
        return said(
            [replies.asset(each, shorting=exchange.shorting) for each in exchange.bars.symbols()]
        )

    async def asset(self, request: Request) -> Response:
        named, exchange = request.path_params["symbol"], self._desk.exchange
        for symbol in exchange.bars.symbols():
            if named in (symbol, replies.asset_id(symbol)):
                return said(replies.asset(symbol, shorting=exchange.shorting))
        return refused(Refusal(404, permission.NOT_FOUND, f"asset not found for {named}"))

    async def quotes(self, request: Request) -> Response:
        """Symbols that do not trade just now are left out, as the real data host does."""
        found = ((symbol, self._desk.quote(symbol)) for symbol in names(request, "symbols"))
        return said_in_numbers(
            {"quotes": {symbol: replies.quote(quote) for symbol, quote in found if quote}}
        )


def routes(desk: Desk) -> list[Route]:
    face = Market(desk)
    return [
        Route("/v2/clock", face.clock, methods=["GET"]),
        Route("/v2/calendar", face.calendar, methods=["GET"]),
        Route("/v2/assets", face.assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", face.asset, methods=["GET"]),
        Route("/v2/stocks/quotes/latest", face.quotes, methods=["GET"]),
    ]
