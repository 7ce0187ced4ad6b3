"""Clock, calendar, assets and latest quotes over HTTP, as of the present stage."""

from __future__ import annotations

import datetime as dt

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange import account_rules
from services.sim_broker.exchange.order import OrderRefusal
from services.sim_broker.http import alpaca_json as replies, responses
from services.sim_broker.simulator import Simulator


class MarketRoutes:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def clock(self, _: Request) -> Response:
        exchange = self._simulator.exchange
        return responses.as_json(replies.clock(exchange.book.account, exchange.bars.sessions()))

    async def calendar(self, request: Request) -> Response:
        query = request.query_params
        try:
            start = (
                responses.parse_instant(query["start"]).date()
                if query.get("start")
                else dt.date.min
            )
            end = responses.parse_instant(query["end"]).date() if query.get("end") else dt.date.max
        except ValueError:
            return responses.bad_request("invalid start or end")
        return responses.as_json(
            replies.calendar(self._simulator.exchange.bars.sessions(), start, end)
        )

    async def assets(self, _: Request) -> Response:
        exchange = self._simulator.exchange
        return responses.as_json(
            [replies.asset(each, shorting=exchange.shorting) for each in exchange.bars.symbols()]
        )

    async def asset(self, request: Request) -> Response:
        named, exchange = request.path_params["symbol"], self._simulator.exchange
        for symbol in exchange.bars.symbols():
            if named in (symbol, replies.asset_id(symbol)):
                return responses.as_json(replies.asset(symbol, shorting=exchange.shorting))
        return responses.as_refusal(
            OrderRefusal(404, account_rules.NOT_FOUND, f"asset not found for {named}")
        )

    async def quotes(self, request: Request) -> Response:
        """Latest quotes; symbols without one are omitted, as at the real data host."""
        found = (
            (symbol, self._simulator.quote(symbol))
            for symbol in responses.query_names(request, "symbols")
        )
        return responses.as_json_numbers(
            {"quotes": {symbol: replies.quote(quote) for symbol, quote in found if quote}}
        )


def routes(simulator: Simulator) -> list[Route]:
    handlers = MarketRoutes(simulator)
    return [
        Route("/v2/clock", handlers.clock, methods=["GET"]),
        Route("/v2/calendar", handlers.calendar, methods=["GET"]),
        Route("/v2/assets", handlers.assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", handlers.asset, methods=["GET"]),
        Route("/v2/stocks/quotes/latest", handlers.quotes, methods=["GET"]),
    ]
