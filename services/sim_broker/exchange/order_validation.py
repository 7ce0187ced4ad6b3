"""Validation of a submission by itself, with the real broker's sentences where they are known.

Called by the exchange before it looks at its book. A submission becomes a Ticket or an
OrderRefusal, never an exception.
"""

from collections.abc import Callable, Collection
from decimal import Decimal

from services.sim_broker.exchange.order import (
    OrderClass,
    OrderRefusal,
    OrderSubmission,
    OrderType,
    Ticket,
    TimeInForce,
)
from shared.schemas.values import Side

BAD_PARAMETER = 40010001
UNPROCESSABLE = 42210000
MAX_CLIENT_ID = 128
"""Alpaca's limit."""
_PRICES = {
    OrderType.MARKET: (False, False, "market orders require no limit or stop price"),
    OrderType.LIMIT: (True, False, "limit orders require only limit price"),
    OrderType.STOP: (False, True, "stop orders require only stop price"),
}


def ticket(
    request: OrderSubmission, symbols: Collection[str], client_order_id: str
) -> Ticket | OrderRefusal:
    """Validate a submission; `client_order_id` is used if it has none of its own."""
    for check in _CHECKS:
        refusal = check(request)
        if refusal:
            return refusal
    if request.symbol not in symbols:
        return _bad_parameter(f'could not find asset "{request.symbol}"')
    return _ticket(request, client_order_id)


def _ticket(request: OrderSubmission, client_order_id: str) -> Ticket:
    limit, stop = _prices(request)
    return Ticket(
        client_order_id=request.client_order_id or client_order_id,
        symbol=str(request.symbol),
        side=Side(str(request.side)),
        type=OrderType(str(request.type)),
        time_in_force=TimeInForce(str(request.time_in_force)),
        order_class=_order_class(request),
        qty=request.qty or Decimal(0),
        limit_price=limit,
        stop_price=stop,
    )


def _bad_parameter(message: str) -> OrderRefusal:
    return OrderRefusal(422, BAD_PARAMETER, message)


def _unprocessable(message: str) -> OrderRefusal:
    return OrderRefusal(422, UNPROCESSABLE, message)


def _order_class(request: OrderSubmission) -> OrderClass:
    return OrderClass.OCO if request.order_class == OrderClass.OCO else OrderClass.SIMPLE


def _prices(request: OrderSubmission) -> tuple[Decimal | None, Decimal | None]:
    """(limit, stop) from where the order's class puts them."""
    if _order_class(request) is OrderClass.SIMPLE:
        return request.limit_price, request.stop_price
    target = request.take_profit.limit_price if request.take_profit else None
    return (
        target or request.limit_price,
        request.stop_loss.stop_price if request.stop_loss else None,
    )


def _missing_field(request: OrderSubmission) -> OrderRefusal | None:
    for name in ("symbol", "side", "type", "time_in_force"):
        if not getattr(request, name):
            return _bad_parameter(f"{name} is required")
    if request.qty is None and request.notional is None:
        return _bad_parameter("qty or notional is required")
    return None


def _vocabulary(request: OrderSubmission) -> OrderRefusal | None:
    if request.side not in tuple(Side):
        return _bad_parameter(f"invalid side: {request.side}")
    if request.type not in tuple(OrderType):
        return _unprocessable(f"{request.type} orders are not simulated")
    if request.time_in_force not in tuple(TimeInForce):
        return _unprocessable(f"time in force {request.time_in_force} is not simulated")
    if request.order_class not in (None, "", "simple", "oco"):
        return _unprocessable(f"{request.order_class} orders are not simulated")
    return None


def _size(request: OrderSubmission) -> OrderRefusal | None:
    if request.notional is not None:
        return _unprocessable("notional orders are not simulated")
    qty = request.qty
    if qty is None or not qty.is_finite() or qty <= 0:
        return _bad_parameter("qty must be > 0")
    if qty != qty.to_integral_value() and not _may_be_fractional(request):
        return _unprocessable("fractional orders must be simple DAY orders")
    return None


def _may_be_fractional(request: OrderSubmission) -> bool:
    """Alpaca takes fractions as day orders only; as IOC it is uncertain, so it is refused."""
    is_simple = _order_class(request) is OrderClass.SIMPLE
    return is_simple and request.time_in_force == TimeInForce.DAY


def _price_fields(request: OrderSubmission) -> OrderRefusal | None:
    if _order_class(request) is OrderClass.OCO:
        return _oco(request)
    needs_limit, needs_stop, sentence = _PRICES[OrderType(str(request.type))]
    if (request.limit_price is not None, request.stop_price is not None) != (
        needs_limit,
        needs_stop,
    ):
        return _bad_parameter(sentence)
    return None


def _oco(request: OrderSubmission) -> OrderRefusal | None:
    limit, stop = _prices(request)
    if request.type != OrderType.LIMIT:
        return _bad_parameter("oco orders must be limit orders")
    if limit is None or stop is None:
        return _bad_parameter("oco orders require take_profit.limit_price and stop_loss.stop_price")
    if request.stop_loss and request.stop_loss.limit_price is not None:
        return _unprocessable("stop-limit legs are not simulated")
    if (limit > stop) != (request.side == Side.SELL):
        return _bad_parameter(
            "oco orders require the stop on the losing side of take_profit.limit_price"
        )
    return None


def _price_increments(request: OrderSubmission) -> OrderRefusal | None:
    for name, price in zip(("limit_price", "stop_price"), _prices(request), strict=True):
        if price is None:
            continue
        if not price.is_finite() or price <= 0:
            return _bad_parameter(f"{name} must be > 0")
        if price != round(price, 2 if price >= 1 else 4):
            sentence = "sub-penny increment does not fulfill minimum pricing criteria"
            return _unprocessable(f"invalid {name} {price:f}. {sentence}")
    return None


def _time_in_force(request: OrderSubmission) -> OrderRefusal | None:
    if request.time_in_force != TimeInForce.IOC:
        return None
    if request.type == OrderType.STOP or _order_class(request) is OrderClass.OCO:
        return _unprocessable("stop and oco orders must be day or gtc orders")
    return None


def _hours(request: OrderSubmission) -> OrderRefusal | None:
    return _unprocessable("extended hours are not simulated") if request.extended_hours else None


def _client_id(request: OrderSubmission) -> OrderRefusal | None:
    if len(request.client_order_id or "") > MAX_CLIENT_ID:
        return _bad_parameter(f"client_order_id must be no more than {MAX_CLIENT_ID} characters")
    return None


_CHECKS: tuple[Callable[[OrderSubmission], OrderRefusal | None], ...] = (
    _missing_field,
    _vocabulary,
    _size,
    _price_fields,
    _price_increments,
    _time_in_force,
    _hours,
    _client_id,
)
