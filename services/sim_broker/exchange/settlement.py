"""What a fill or an ending does to the book: cash, shares, status, the other half of an OCO.

Called by the exchange when an order fills or is canceled, and at the end of a session.
"""

from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.activity import Activity, ActivityType
from services.sim_broker.exchange.order import BrokerOrder, OrderUpdate
from services.sim_broker.exchange.position import apply_fill
from shared.domain.trading.fills import Costs, fee
from shared.schemas.values import OrderStatus, Side

_ENDED_AT = {
    OrderStatus.CANCELED: "canceled_at",
    OrderStatus.EXPIRED: "expired_at",
    OrderStatus.REJECTED: "failed_at",
}


def fill(
    book: AccountBook,
    order: BrokerOrder,
    *,
    price: Decimal,
    qty: Decimal,
    market: Decimal,
    costs: Costs,
) -> None:
    """Settle `qty` shares at `price`; `market` is the symbol's present price."""
    _pay(book, order, price=price, qty=qty, costs=costs)
    position = apply_fill(book.positions.get(order.symbol), order, price, qty, market)
    book.put_position(position)
    complete = qty >= order.remaining
    filled = replace(
        order,
        filled_qty=order.filled_qty + qty,
        filled_notional=order.filled_notional + qty * price,
        status=OrderStatus.FILLED if complete else OrderStatus.PARTIALLY_FILLED,
        filled_at=book.now if complete else None,
    )
    event = "fill" if complete else "partial_fill"
    filled = book.record(event, filled, price=price, qty=qty, position_qty=position.qty)
    book.activities.append(_fill_activity(book, filled, price, qty))
    if complete:
        _end_other_half(book, order, OrderStatus.CANCELED)
    else:
        _shrink_other_half(book, order, qty)


def end(book: AccountBook, order: BrokerOrder, status: OrderStatus, *, alone: bool = False) -> None:
    """End an order; what has filled stays filled. `alone` leaves the other half of an OCO."""
    ended = replace(order, status=status, **{_ENDED_AT[status]: book.now})
    book.record(status.value, ended)
    if not alone:
        _end_other_half(book, order, status)


def close_by_adjustment(book: AccountBook, symbol: str) -> None:
    """Turn the shares of a symbol that stopped trading into cash at their last price."""
    for order in book.open_orders(symbol):
        end(book, order, OrderStatus.CANCELED)
    position = book.positions[symbol]
    book.account = replace(book.account, cash=book.account.cash + position.market_value)
    book.put_position(replace(position, qty=Decimal(0), cost=Decimal(0)))


def _pay(
    book: AccountBook, order: BrokerOrder, *, price: Decimal, qty: Decimal, costs: Costs
) -> None:
    account = book.account
    paid = qty * price if order.side is Side.BUY else -qty * price
    cash = account.cash - paid - fee(qty, price, order.side, costs)
    book.account = replace(account, cash=cash, fills=account.fills + 1)


def _fill_activity(book: AccountBook, order: BrokerOrder, price: Decimal, qty: Decimal) -> Activity:
    signed = qty if order.side is Side.BUY else -qty
    return Activity(
        id=OrderUpdate.execution_id_of(book.account.number, book.account.sequence),
        type=ActivityType.FILL,
        at=order.updated_at,
        net_amount=-signed * price,
        symbol=order.symbol,
        qty=signed,
        price=price,
        order_id=order.id,
    )


def _other_half(book: AccountBook, order: BrokerOrder) -> BrokerOrder | None:
    other = book.orders.get(order.leg_id or order.parent_id)
    return other if other and other.is_open else None


def _end_other_half(book: AccountBook, order: BrokerOrder, status: OrderStatus) -> None:
    other = _other_half(book, order)
    if other:
        end(book, other, status)


def _shrink_other_half(book: AccountBook, order: BrokerOrder, qty: Decimal) -> None:
    """Shares that one half of an OCO has sold cannot be sold by the other."""
    other = _other_half(book, order)
    if other:
        book.put(replace(other, qty=other.qty - qty))
