"""Whether the account may place an order: duplicate id, funds, shares, wash trades.

Called by the exchange with a valid ticket; reads the book, changes nothing. Refusals use the real
broker's codes and sentences.
"""

from decimal import Decimal

from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderClass,
    OrderRefusal,
    OrderType,
    Ticket,
)
from services.sim_broker.exchange.order_faults import OrderFaults
from services.sim_broker.exchange.order_validation import BAD_PARAMETER, UNPROCESSABLE
from services.sim_broker.number_format import format_decimal
from shared.schemas.values import Side

FORBIDDEN = 40310000
NOT_FOUND = 40410000
SHORT_BUFFER = Decimal("1.03")
"""Alpaca reserves 3 % above the market for a short (its documentation of buying power)."""


def refusal_of_account(
    ticket: Ticket, book: AccountBook, *, price: Decimal | None, shorting: bool
) -> OrderRefusal | None:
    """The first reason to refuse the order, None if it may be placed.

    `price` is the market's, None for a symbol without one.
    """
    if book.order_by_client_id(ticket.client_order_id):
        return OrderRefusal(422, BAD_PARAMETER, "client_order_id must be unique")
    if book.account.blocked:
        return OrderRefusal(403, FORBIDDEN, "new orders are rejected: the account is blocked")
    if book.account.suspended:
        return OrderRefusal(403, FORBIDDEN, "new orders are rejected by user request")
    held = book.shares(ticket.symbol)
    closes = held > 0 if ticket.side is Side.SELL else held < 0
    return _wash_trade(ticket, book) or (
        _shares_in_use(ticket, book)
        if closes
        else _insufficient_funds(ticket, book, price, shorting)
    )


def refusal_of_stop(
    ticket: Ticket, price: Decimal | None, faults: OrderFaults
) -> OrderRefusal | None:
    """Refuse a stop that the market has already passed, where the broker does so."""
    stop = ticket.stop_price
    if stop is None or price is None:
        return None
    passed = stop >= price if ticket.side is Side.SELL else stop <= price
    if not passed or not faults.refuses_passed_stop(ticket.symbol):
        return None
    relation = "less" if ticket.side is Side.SELL else "greater"
    return OrderRefusal(
        422, UNPROCESSABLE, f"stop price must be {relation} than current price {price:f}"
    )


def order_not_found(order_id: str) -> OrderRefusal:
    return OrderRefusal(404, NOT_FOUND, f"order not found for {order_id}")


def order_not_cancelable(order: BrokerOrder) -> OrderRefusal:
    return OrderRefusal(422, UNPROCESSABLE, f'order is already in "{order.status}" state')


def _wash_trade(ticket: Ticket, book: AccountBook) -> OrderRefusal | None:
    """Refuse an order that could trade with one of the same account; OCOs are exempt."""
    if ticket.order_class is OrderClass.OCO:
        return None
    for order in book.open_orders(ticket.symbol):
        if (
            order.side is not ticket.side
            and order.order_class is not OrderClass.OCO
            and _could_trade(ticket, order)
        ):
            reason = f"opposite side {order.type} order exists"
            message = "potential wash trade detected. use complex orders"
            return OrderRefusal(
                403, FORBIDDEN, message, {"existing_order_id": order.id, "reject_reason": reason}
            )
    return None


def _could_trade(ticket: Ticket, order: BrokerOrder) -> bool:
    if ticket.limit_price is None or order.limit_price is None:
        return True
    buy, sell = (ticket, order) if ticket.side is Side.BUY else (order, ticket)
    return (buy.limit_price or 0) >= (sell.limit_price or 0)


def _shares_in_use(ticket: Ticket, book: AccountBook) -> OrderRefusal | None:
    """Refuse to close shares that another working order reserves."""
    available = book.available(ticket.symbol)
    if ticket.qty <= available:
        return None
    held = abs(book.shares(ticket.symbol))
    closing = [order.id for order in book.open_orders(ticket.symbol) if order.side is ticket.side]
    return OrderRefusal(
        403,
        FORBIDDEN,
        "insufficient qty available for order "
        f"(requested: {ticket.qty:f}, available: {available:f})",
        {
            "available": format_decimal(available),
            "existing_qty": format_decimal(held),
            "held_for_orders": format_decimal(held - available),
            "related_orders": closing,
            "symbol": ticket.symbol,
        },
    )


def _insufficient_funds(
    ticket: Ticket, book: AccountBook, price: Decimal | None, shorting: bool
) -> OrderRefusal | None:
    if ticket.side is Side.SELL and not shorting:
        return OrderRefusal(
            403, FORBIDDEN, "account is not allowed to short", {"symbol": ticket.symbol}
        )
    each = _worst_price(ticket, price)
    if each is None:
        return OrderRefusal(
            422, UNPROCESSABLE, f"there is no price to judge a market order in {ticket.symbol} by"
        )
    cost, power = each * ticket.qty, book.buying_power
    if cost <= power:
        return None
    extra: dict[str, object] = {
        "buying_power": format_decimal(power),
        "cost_basis": format_decimal(cost),
    }
    return OrderRefusal(403, FORBIDDEN, "insufficient buying power", extra)


def _worst_price(ticket: Ticket, price: Decimal | None) -> Decimal | None:
    """The most a share may cost; a short reserves a margin above the market."""
    if ticket.type is OrderType.MARKET:
        return price * SHORT_BUFFER if price is not None else None
    price_asked = ticket.limit_price or ticket.stop_price or Decimal(0)
    if ticket.side is Side.SELL and price is not None:
        return max(price_asked, price * SHORT_BUFFER)
    return price_asked
