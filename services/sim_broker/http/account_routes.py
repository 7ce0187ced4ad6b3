"""The account over HTTP: its figures, configurations and activities."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange.activity import Activity
from services.sim_broker.http import account_json as replies, responses
from services.sim_broker.simulator import Simulator

MAX_PAGE = 100
"""Alpaca's longest page of activities."""


class AccountRoutes:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def account(self, _: Request) -> Response:
        exchange = self._simulator.exchange
        return responses.as_json(replies.account(exchange.book, shorting=exchange.shorting))

    async def configurations(self, request: Request) -> Response:
        """Show or change the configurations; only `suspend_trade` has an effect."""
        if request.method == "PATCH":
            try:
                changes = msgspec.json.decode(await request.body(), type=dict[str, object])
            except msgspec.MsgspecError:
                return responses.as_refusal(responses.MALFORMED)
            if "suspend_trade" in changes:
                self._simulator.suspend(changes["suspend_trade"] is True)
        exchange = self._simulator.exchange
        return responses.as_json(
            replies.configurations(exchange.book.account, shorting=exchange.shorting)
        )

    async def activities(self, request: Request) -> Response:
        """List activities, newest first unless `direction=asc`.

        `page_token` is the last id seen.
        """
        query = request.query_params
        kinds = {request.path_params.get("kind") or "", *query.get("activity_types", "").split(",")}
        kinds.discard("")
        rows = [each for each in self._activities() if not kinds or each.type in kinds]
        if query.get("direction", "desc") == "desc":
            rows.reverse()
        ids = [replies.activity_id(each) for each in rows]
        start = ids.index(query["page_token"]) + 1 if query.get("page_token") in ids else 0
        size = query.get("page_size", str(MAX_PAGE))
        if not size.isdigit() or not 1 <= int(size) <= MAX_PAGE:
            return responses.bad_request(f"page_size must be between 1 and {MAX_PAGE}")
        page = rows[start : start + int(size)]
        orders = self._simulator.exchange.book.orders
        return responses.as_json(
            [replies.activity(each, orders.get(each.order_id)) for each in page]
        )

    def _activities(self) -> list[Activity]:
        return list(self._simulator.exchange.book.activities)


def routes(simulator: Simulator) -> list[Route]:
    handlers = AccountRoutes(simulator)
    return [
        Route("/v2/account", handlers.account, methods=["GET"]),
        Route("/v2/account/configurations", handlers.configurations, methods=["GET", "PATCH"]),
        Route("/v2/account/activities", handlers.activities, methods=["GET"]),
        Route("/v2/account/activities/{kind}", handlers.activities, methods=["GET"]),
    ]
