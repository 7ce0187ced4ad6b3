"""What a fill or an end does to the book: money, shares, status, and the other half of an OCO.

Called by the exchange when an order has met a price, and by the day when orders run out.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange import position as holdings
from services.sim_broker.exchange.account_book import Book
from services.sim_broker.exchange.order import Order
from shared.domain.trading.fills import Costs, fee
from shared.schemas.values import OrderStatus, Side


def fill(
    book: Book, order: Order, *, price: Decimal, qty: int, market: Decimal, costs: Costs
) -> None:
    """`qty` shares of the order traded at `price` while the symbol stood at `market`."""
    _pay(book, order, price=price, qty=qty, costs=costs)
    position = holdings.after_fill(book.positions.get(order.symbol), order, price, qty, market)
    book.put_position(position)
    complete = qty == order.remaining
    filled = replace(
        order,
        filled_qty=order.filled_qty + qty,
        filled_notional=order.filled_notional + qty * price,
        status=OrderStatus.FILLED if complete else OrderStatus.PARTIALLY_FILLED,
        filled_at=book.account.now if complete else None,
    )
    event = "fill" if complete else "partial_fill"
    book.record(event, filled, price=price, qty=qty, position_qty=position.qty)
    if complete:
        _end_other_half(book, order, OrderStatus.CANCELED)


def end(book: Book, order: Order, status: OrderStatus) -> None:
    """Canceled or expired; what has been filled stays filled."""
    now = book.account.now
    canceled = status is OrderStatus.CANCELED
    ended = replace(order, status=status, **{"canceled_at" if canceled else "expired_at": now})
    book.record(status.value, ended)
    _end_other_half(book, order, status)


def close_by_adjustment(book: Book, symbol: str) -> None:
    """A symbol that has stopped trading: its shares become cash at their last price, no order is involved."""
    for order in book.open_orders(symbol):
        end(book, order, OrderStatus.CANCELED)
    position = book.positions[symbol]
    book.account = replace(book.account, cash=book.account.cash + position.market_value)
    book.put_position(replace(position, qty=0, cost=Decimal(0)))


def _pay(book: Book, order: Order, *, price: Decimal, qty: int, costs: Costs) -> None:
    account = book.account
    paid = qty * price if order.side is Side.BUY else -qty * price
    cash = account.cash - paid - fee(qty, price, order.side, costs)
    book.account = replace(account, cash=cash, fills=account.fills + 1)


def _end_other_half(book: Book, order: Order, status: OrderStatus) -> None:
    other = book.orders.get(order.leg_id or order.parent_id)
    if other and other.is_open:
        end(book, other, status)
