"""Orders, positions and the account over HTTP, with Alpaca's paths, statuses and bodies."""

from __future__ import annotations

import uuid
from decimal import Decimal, InvalidOperation

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.sim_broker.exchange import account_rules as permission
from services.sim_broker.exchange.order import Order, OrderRequest, Refusal
from services.sim_broker.exchange.order_validation import BAD_PARAMETER
from services.sim_broker.exchange.position import Position
from services.sim_broker.http import alpaca_json as replies, order_query as listing
from services.sim_broker.http.responses import bad, flag, refused, said
from services.sim_broker.simulator import Desk
from shared.schemas.values import Side

NO_POSITION = Refusal(404, permission.NOT_FOUND, "position does not exist")
MALFORMED = Refusal(400, 40010000, "request body format is invalid")


class Trading:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    # --- orders -----------------------------------------------------------------------------------

    async def submit(self, request: Request) -> Response:
        wanted = _order_request(await request.body())
        result = self._desk.submit(wanted) if isinstance(wanted, OrderRequest) else wanted
        if isinstance(result, Refusal):
            return refused(result)
        return said(replies.order(result, self._desk.exchange.book.leg(result)))

    async def orders(self, request: Request) -> Response:
        wanted = listing.wanted(request)
        if isinstance(wanted, str):
            return bad(wanted)
        book = self._desk.exchange.book
        found = listing.listed(book, wanted)
        return said(
            [replies.order(each, book.leg(each) if wanted.nested else None) for each in found]
        )

    async def order(self, request: Request) -> Response:
        order_id = request.path_params["order_id"]
        if not _is_uuid(order_id):
            return bad("order_id is missing")
        return self._one(self._desk.order(order_id), order_id, request)

    async def by_client_id(self, request: Request) -> Response:
        client_order_id = request.query_params.get("client_order_id", "")
        if not client_order_id:
            return bad("client_order_id is missing")
        return self._one(self._desk.by_client_id(client_order_id), client_order_id, request)

    def _one(self, order: Order | None, asked: str, request: Request) -> Response:
        if order is None:
            return refused(permission.not_found(asked))
        return said(
            replies.order(
                order, self._desk.exchange.book.leg(order) if flag(request, "nested") else None
            )
        )

    async def cancel(self, request: Request) -> Response:
        refusal = self._desk.cancel(request.path_params["order_id"])
        return refused(refusal) if refusal else Response(status_code=204)

    async def cancel_all(self, _: Request) -> Response:
        canceled = [order.id for order in self._desk.exchange.book.open_orders()]
        for order_id in canceled:
            self._desk.cancel(order_id)
        return said([{"id": order_id, "status": 200} for order_id in canceled], 207)

    # --- positions --------------------------------------------------------------------------------

    async def positions(self, _: Request) -> Response:
        return said([self._told(each) for each in self._desk.exchange.book.positions.values()])

    async def position(self, request: Request) -> Response:
        position = self._position(request)
        return said(self._told(position)) if position else refused(NO_POSITION)

    async def close(self, request: Request) -> Response:
        position = self._position(request)
        if position is None:
            return refused(NO_POSITION)
        qty = _share_of(abs(position.qty), request)
        result = (
            self._close(position, qty)
            if qty is not None
            else Refusal(422, BAD_PARAMETER, "qty is invalid")
        )
        return refused(result) if isinstance(result, Refusal) else said(replies.order(result))

    async def close_all(self, request: Request) -> Response:
        if flag(request, "cancel_orders"):
            await self.cancel_all(request)
        closed = []
        for position in list(self._desk.exchange.book.positions.values()):
            result = self._close(position, Decimal(abs(position.qty)))
            refusal = isinstance(result, Refusal)
            body = replies.refusal(result) if isinstance(result, Refusal) else replies.order(result)
            closed.append(
                {"symbol": position.symbol, "status": 500 if refusal else 200, "body": body}
            )
        return said(closed, 207)

    def _close(self, position: Position, qty: Decimal) -> Order | Refusal:
        side = Side.SELL if position.qty > 0 else Side.BUY
        return self._desk.submit(
            OrderRequest(
                symbol=position.symbol, qty=qty, side=side, type="market", time_in_force="day"
            )
        )

    def _position(self, request: Request) -> Position | None:
        named = request.path_params["symbol"]
        positions = self._desk.exchange.book.positions
        by_asset = (each for each in positions.values() if replies.asset_id(each.symbol) == named)
        return positions.get(named) or next(by_asset, None)

    def _told(self, position: Position) -> replies.Json:
        return replies.position(position, self._desk.exchange.book.available(position.symbol))

    # --- account ----------------------------------------------------------------------------------

    async def account(self, _: Request) -> Response:
        exchange = self._desk.exchange
        return said(replies.account(exchange.book, shorting=exchange.shorting))

    async def configurations(self, request: Request) -> Response:
        """Of what may be changed only `suspend_trade` means something here."""
        if request.method == "PATCH":
            try:
                asked = msgspec.json.decode(await request.body(), type=dict[str, object])
            except msgspec.MsgspecError:
                return refused(MALFORMED)
            if "suspend_trade" in asked:
                self._desk.suspend(asked["suspend_trade"] is True)
        exchange = self._desk.exchange
        return said(replies.configurations(exchange.book.account, shorting=exchange.shorting))


def routes(desk: Desk) -> list[Route]:
    """Every path of the Trading API about this account."""
    face = Trading(desk)
    return [
        Route("/v2/orders", face.submit, methods=["POST"]),
        Route("/v2/orders", face.orders, methods=["GET"]),
        Route("/v2/orders", face.cancel_all, methods=["DELETE"]),
        Route("/v2/orders:by_client_order_id", face.by_client_id, methods=["GET"]),
        Route("/v2/orders/{order_id}", face.order, methods=["GET"]),
        Route("/v2/orders/{order_id}", face.cancel, methods=["DELETE"]),
        Route("/v2/positions", face.positions, methods=["GET"]),
        Route("/v2/positions", face.close_all, methods=["DELETE"]),
        Route("/v2/positions/{symbol}", face.position, methods=["GET"]),
        Route("/v2/positions/{symbol}", face.close, methods=["DELETE"]),
        Route("/v2/account", face.account, methods=["GET"]),
        Route("/v2/account/configurations", face.configurations, methods=["GET", "PATCH"]),
    ]


def _order_request(body: bytes) -> OrderRequest | Refusal:
    try:
        return msgspec.json.decode(body, type=OrderRequest, strict=False)
    except msgspec.ValidationError as error:
        return Refusal(422, BAD_PARAMETER, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return MALFORMED


def _share_of(held: int, request: Request) -> Decimal | None:
    """How much to close: all, `qty`, or the whole shares in `percentage`; None when that is no number."""
    try:
        if percentage := request.query_params.get("percentage"):
            return Decimal(held * Decimal(percentage) // 100)
        return Decimal(request.query_params.get("qty") or held)
    except InvalidOperation:
        return None


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
