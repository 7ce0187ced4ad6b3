"""Whether the account may place an order: duplicates, money, shares, crossing itself. In the broker's words.

Called by the exchange with a ticket that makes sense by itself; reads the book, changes nothing.
"""

from __future__ import annotations

from decimal import Decimal

from services.sim_broker.exchange.account_book import Book
from services.sim_broker.exchange.order import Order, OrderClass, OrderType, Refusal, Ticket
from services.sim_broker.exchange.order_validation import BAD_PARAMETER, UNPROCESSABLE
from services.sim_broker.number_format import plain
from shared.schemas.values import Side

FORBIDDEN = 40310000
NOT_FOUND = 40410000
SHORT_BUFFER = Decimal("1.03")
"""A short reserves at least this much of its price."""


def refusal(ticket: Ticket, book: Book, *, price: Decimal | None, shorting: bool) -> Refusal | None:
    """`price` is the market's, None when it shows none."""
    if book.by_client_id(ticket.client_order_id):
        return Refusal(422, BAD_PARAMETER, "client_order_id must be unique")
    if book.account.suspended:
        return Refusal(403, FORBIDDEN, "new orders are rejected by user request")
    held = book.held(ticket.symbol)
    closes = held > 0 if ticket.side is Side.SELL else held < 0
    return _crossing(ticket, book) or (
        _not_free(ticket, book) if closes else _not_affordable(ticket, book, price, shorting)
    )


def not_found(order_id: str) -> Refusal:
    return Refusal(404, NOT_FOUND, f"order not found for {order_id}")


def not_cancelable(order: Order) -> Refusal:
    return Refusal(422, UNPROCESSABLE, f'order is already in "{order.status}" state')


def _crossing(ticket: Ticket, book: Book) -> Refusal | None:
    """Orders of one account that could trade with each other; an OCO may."""
    if ticket.order_class is OrderClass.OCO:
        return None
    for order in book.open_orders(ticket.symbol):
        if (
            order.side is not ticket.side
            and order.order_class is not OrderClass.OCO
            and _meet(ticket, order)
        ):
            reason = f"opposite side {order.type} order exists"
            message = "potential wash trade detected. use complex orders"
            return Refusal(
                403, FORBIDDEN, message, {"existing_order_id": order.id, "reject_reason": reason}
            )
    return None


def _meet(ticket: Ticket, order: Order) -> bool:
    if ticket.limit_price is None or order.limit_price is None:
        return True
    buy, sell = (ticket, order) if ticket.side is Side.BUY else (order, ticket)
    return (buy.limit_price or 0) >= (sell.limit_price or 0)


def _not_free(ticket: Ticket, book: Book) -> Refusal | None:
    """Shares that another order is about to close cannot be closed again."""
    available = book.available(ticket.symbol)
    if ticket.qty <= available:
        return None
    held = abs(book.held(ticket.symbol))
    closing = [order.id for order in book.open_orders(ticket.symbol) if order.side is ticket.side]
    return Refusal(
        403,
        FORBIDDEN,
        f"insufficient qty available for order (requested: {ticket.qty}, available: {available})",
        {
            "available": str(available),
            "existing_qty": str(held),
            "held_for_orders": str(held - available),
            "related_orders": closing,
            "symbol": ticket.symbol,
        },
    )


def _not_affordable(
    ticket: Ticket, book: Book, price: Decimal | None, shorting: bool
) -> Refusal | None:
    if ticket.side is Side.SELL and not shorting:
        return Refusal(403, FORBIDDEN, "account is not allowed to short", {"symbol": ticket.symbol})
    each = _worst_price(ticket, price)
    if each is None:
        return Refusal(
            422, UNPROCESSABLE, f"there is no price to judge a market order in {ticket.symbol} by"
        )
    cost, power = each * ticket.qty, book.buying_power
    if cost <= power:
        return None
    extra: dict[str, object] = {"buying_power": plain(power), "cost_basis": plain(cost)}
    return Refusal(403, FORBIDDEN, "insufficient buying power", extra)


def _worst_price(ticket: Ticket, price: Decimal | None) -> Decimal | None:
    """What a share may cost at most; a short reserves a margin above the market."""
    if ticket.type is OrderType.MARKET:
        return price * SHORT_BUFFER if price is not None else None
    wanted = ticket.limit_price or ticket.stop_price or Decimal(0)
    if ticket.side is Side.SELL and price is not None:
        return max(wanted, price * SHORT_BUFFER)
    return wanted
