"""Clock, calendar, assets, quotes and corporate actions over HTTP, as of the present stage."""

import datetime as dt
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange import account_rules
from services.sim_broker.exchange.order import OrderRefusal
from services.sim_broker.exchange.world_events import CorporateEvent
from services.sim_broker.http import account_json, market_json as replies, responses
from services.sim_broker.simulator import Simulator


class MarketRoutes:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def clock(self, _: Request) -> Response:
        exchange = self._simulator.exchange
        skew = self._simulator.clock_skew()
        return responses.as_json(replies.clock(exchange.book, exchange.bars.sessions(), skew=skew))

    async def calendar(self, request: Request) -> Response:
        try:
            start, end = _span(request)
        except ValueError:
            return responses.bad_request("invalid start or end")
        exchange = self._simulator.exchange
        closures = exchange.book.account.listings.closures
        held = (each for each in exchange.bars.sessions() if each not in closures)
        return responses.as_json(replies.calendar(held, start, end))

    async def assets(self, _: Request) -> Response:
        return responses.as_json([self._asset(each) for each in self._symbols()])

    async def asset(self, request: Request) -> Response:
        name = request.path_params["symbol"]
        for symbol in self._symbols():
            if name in (symbol, account_json.asset_id(symbol)):
                return responses.as_json(self._asset(symbol))
        return responses.as_refusal(
            OrderRefusal(404, account_rules.NOT_FOUND, f"asset not found for {name}")
        )

    def _symbols(self) -> Iterator[str]:
        """Symbols that trade, and those that no longer do."""
        exchange = self._simulator.exchange
        yield from exchange.bars.symbols()
        yield from exchange.book.account.listings.retired

    def _asset(self, symbol: str) -> account_json.Json:
        exchange = self._simulator.exchange
        active = symbol not in exchange.book.account.listings.retired
        return replies.asset(symbol, shorting=exchange.shorting, active=active)

    async def quotes(self, request: Request) -> Response:
        """Latest quotes; symbols without one are omitted, as at the real data host."""
        found = (
            (symbol, self._simulator.quote(symbol))
            for symbol in responses.query_names(request, "symbols")
        )
        return responses.as_json_numbers(
            {"quotes": {symbol: replies.quote(quote) for symbol, quote in found if quote}}
        )

    async def corporate_actions(self, request: Request) -> Response:
        """What was scheduled for `symbols` (all, if empty) from `start` through `end`."""
        try:
            start, end = _span(request)
        except ValueError:
            return responses.bad_request("invalid start or end")
        names = set(responses.query_names(request, "symbols"))
        announced = [
            event
            for event in self._simulator.exchange.book.account.announced
            if event.session and start <= event.session <= end and _is_about(event, names)
        ]
        groups = replies.corporate_actions(announced)
        kinds = responses.query_names(request, "types")
        wanted = {kind: rows for kind, rows in groups.items() if not kinds or kind[:-1] in kinds}
        return responses.as_json_numbers({"corporate_actions": wanted, "next_page_token": None})


def _is_about(event: CorporateEvent, names: set[str]) -> bool:
    return not names or not names.isdisjoint({event.symbol, getattr(event, "new_symbol", "")})


def _span(request: Request) -> tuple[dt.date, dt.date]:
    """`start` and `end` as dates. Raises ValueError if one is unreadable."""
    query = request.query_params
    start, end = query.get("start"), query.get("end")
    return (
        responses.parse_instant(start).date() if start else dt.date.min,
        responses.parse_instant(end).date() if end else dt.date.max,
    )


def routes(simulator: Simulator) -> list[Route]:
    handlers = MarketRoutes(simulator)
    return [
        Route("/v2/clock", handlers.clock, methods=["GET"]),
        Route("/v2/calendar", handlers.calendar, methods=["GET"]),
        Route("/v2/assets", handlers.assets, methods=["GET"]),
        Route("/v2/assets/{symbol}", handlers.asset, methods=["GET"]),
        Route("/v2/stocks/quotes/latest", handlers.quotes, methods=["GET"]),
        Route("/v1/corporate-actions", handlers.corporate_actions, methods=["GET"]),
    ]
