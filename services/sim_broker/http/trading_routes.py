"""Orders and positions over HTTP, with Alpaca's paths, statuses and bodies."""

import uuid
from decimal import Decimal, InvalidOperation

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange import account_rules
from services.sim_broker.exchange.order import BrokerOrder, OrderRefusal, OrderSubmission
from services.sim_broker.exchange.order_validation import BAD_PARAMETER
from services.sim_broker.exchange.position import AccountPosition
from services.sim_broker.http import account_json as replies, order_query, responses
from services.sim_broker.simulator import Simulator
from shared.schemas.values import Side

NO_POSITION = OrderRefusal(404, account_rules.NOT_FOUND, "position does not exist")


class TradingRoutes:
    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    # --- orders -----------------------------------------------------------------------------------

    async def submit(self, request: Request) -> Response:
        submission = _submission(await request.body())
        result = (
            self._simulator.submit(submission)
            if isinstance(submission, OrderSubmission)
            else submission
        )
        if isinstance(result, OrderRefusal):
            return responses.as_refusal(result)
        return responses.as_json(replies.order(result, self._simulator.exchange.book.leg(result)))

    async def orders(self, request: Request) -> Response:
        query = order_query.parse_query(request)
        if isinstance(query, str):
            return responses.bad_request(query)
        book = self._simulator.exchange.book
        found = order_query.find_orders(book, query, is_listed=self._simulator.is_listed)
        return responses.as_json(
            [replies.order(each, book.leg(each) if query.nested else None) for each in found]
        )

    async def order(self, request: Request) -> Response:
        order_id = request.path_params["order_id"]
        if not _is_uuid(order_id):
            return responses.bad_request("order_id is missing")
        return self._order_response(self._simulator.order(order_id), order_id, request)

    async def order_by_client_id(self, request: Request) -> Response:
        client_order_id = request.query_params.get("client_order_id", "")
        if not client_order_id:
            return responses.bad_request("client_order_id is missing")
        return self._order_response(
            self._simulator.order_by_client_id(client_order_id), client_order_id, request
        )

    def _order_response(self, order: BrokerOrder | None, name: str, request: Request) -> Response:
        if order is None:
            return responses.as_refusal(account_rules.order_not_found(name))
        return responses.as_json(
            replies.order(
                order,
                self._simulator.exchange.book.leg(order)
                if responses.query_flag(request, "nested")
                else None,
            )
        )

    async def cancel(self, request: Request) -> Response:
        refusal = self._simulator.cancel(request.path_params["order_id"])
        return responses.as_refusal(refusal) if refusal else Response(status_code=204)

    async def cancel_all(self, _: Request) -> Response:
        canceled = [order.id for order in self._simulator.exchange.book.open_orders()]
        for order_id in canceled:
            self._simulator.cancel(order_id)
        return responses.as_json([{"id": order_id, "status": 200} for order_id in canceled], 207)

    # --- positions --------------------------------------------------------------------------------

    async def positions(self, _: Request) -> Response:
        return responses.as_json(
            [self._position_json(each) for each in self._simulator.exchange.book.positions.values()]
        )

    async def position(self, request: Request) -> Response:
        position = self._position(request)
        return (
            responses.as_json(self._position_json(position))
            if position
            else responses.as_refusal(NO_POSITION)
        )

    async def close(self, request: Request) -> Response:
        position = self._position(request)
        if position is None:
            return responses.as_refusal(NO_POSITION)
        qty = _quantity_to_close(abs(position.qty), request)
        result = (
            self._close(position, qty)
            if qty is not None
            else OrderRefusal(422, BAD_PARAMETER, "qty is invalid")
        )
        return (
            responses.as_refusal(result)
            if isinstance(result, OrderRefusal)
            else responses.as_json(replies.order(result))
        )

    async def close_all(self, request: Request) -> Response:
        if responses.query_flag(request, "cancel_orders"):
            await self.cancel_all(request)
        closed = []
        for position in list(self._simulator.exchange.book.positions.values()):
            result = self._close(position, abs(position.qty))
            refusal = isinstance(result, OrderRefusal)
            body = (
                replies.refusal(result)
                if isinstance(result, OrderRefusal)
                else replies.order(result)
            )
            closed.append(
                {"symbol": position.symbol, "status": 500 if refusal else 200, "body": body}
            )
        return responses.as_json(closed, 207)

    def _close(self, position: AccountPosition, qty: Decimal) -> BrokerOrder | OrderRefusal:
        side = Side.SELL if position.qty > 0 else Side.BUY
        return self._simulator.submit(
            OrderSubmission(
                symbol=position.symbol, qty=qty, side=side, type="market", time_in_force="day"
            )
        )

    def _position(self, request: Request) -> AccountPosition | None:
        named = request.path_params["symbol"]
        positions = self._simulator.exchange.book.positions
        by_asset = (each for each in positions.values() if replies.asset_id(each.symbol) == named)
        return positions.get(named) or next(by_asset, None)

    def _position_json(self, position: AccountPosition) -> replies.Json:
        return replies.position(position, self._simulator.exchange.book.available(position.symbol))


def routes(simulator: Simulator) -> list[Route]:
    """Every simulated path of the Trading API about orders and positions."""
    handlers = TradingRoutes(simulator)
    return [
        Route("/v2/orders", handlers.submit, methods=["POST"]),
        Route("/v2/orders", handlers.orders, methods=["GET"]),
        Route("/v2/orders", handlers.cancel_all, methods=["DELETE"]),
        Route("/v2/orders:by_client_order_id", handlers.order_by_client_id, methods=["GET"]),
        Route("/v2/orders/{order_id}", handlers.order, methods=["GET"]),
        Route("/v2/orders/{order_id}", handlers.cancel, methods=["DELETE"]),
        Route("/v2/positions", handlers.positions, methods=["GET"]),
        Route("/v2/positions", handlers.close_all, methods=["DELETE"]),
        Route("/v2/positions/{symbol}", handlers.position, methods=["GET"]),
        Route("/v2/positions/{symbol}", handlers.close, methods=["DELETE"]),
    ]


def _submission(body: bytes) -> OrderSubmission | OrderRefusal:
    try:
        return msgspec.json.decode(body, type=OrderSubmission, strict=False)
    except msgspec.ValidationError as error:
        return OrderRefusal(422, BAD_PARAMETER, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return responses.MALFORMED


def _quantity_to_close(held: Decimal, request: Request) -> Decimal | None:
    """Shares to close: all, `qty`, or the whole shares in `percentage`; None if unreadable."""
    try:
        if percentage := request.query_params.get("percentage"):
            return held * Decimal(percentage) // 100
        return Decimal(request.query_params.get("qty") or held)
    except InvalidOperation:
        return None


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
