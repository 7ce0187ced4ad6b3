"""What events of the world do to the account: corporate actions, hand trades, transfers, blocks.

Called by the exchange, at once or when a session reaches the event's stage. No order of ours is
involved, so nothing here is a fill of one.
"""

from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from msgspec.structs import replace

from services.sim_broker.exchange import settlement, world_events as events
from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.activity import Activity, ActivityType
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderClass,
    OrderType,
    TimeInForce,
    identity,
)
from services.sim_broker.exchange.position import AccountPosition, position_intent
from shared.domain.trading.fills import Costs
from shared.schemas.values import OrderStatus

ONE = Decimal(1)
SHARE_PLACES = Decimal("0.000000001")
"""Alpaca keeps fractions of shares to nine places."""
ENDINGS = {"canceled": OrderStatus.CANCELED, "expired": OrderStatus.EXPIRED}


def apply_event(book: AccountBook, event: events.WorldEvent) -> None:
    """Change the book as the event says; one that finds nothing to change has no effect."""
    _APPLY[type(event)](book, event)


def _split(book: AccountBook, event: events.SplitEvent) -> None:
    ratio = event.new / event.old
    _change_listings(book, book.account.listings.scale(event.symbol, ONE / ratio))
    _change_orders(book, event.symbol, event.orders, lambda order: _scale(order, ratio))
    position = book.positions.get(event.symbol)
    if position is None:
        return
    qty = (position.qty * ratio).quantize(SHARE_PLACES)
    kept = qty.to_integral_value(ROUND_DOWN) if event.fraction == "cash" else qty
    price = position.last_price / ratio
    cash = ((qty - kept) * price).quantize(Decimal("0.01"))
    book.account = replace(book.account, cash=book.account.cash + cash)
    book.put_position(
        replace(
            position,
            qty=kept,
            cost=position.cost * kept / qty if qty else Decimal(0),
            last_price=price,
            lastday_price=position.lastday_price / ratio,
        )
    )
    _note(book, ActivityType.SPLIT, event.symbol, qty=kept - position.qty, cash=cash)


def _rename(book: AccountBook, event: events.RenameEvent) -> None:
    old, new = event.symbol, event.new_symbol
    _change_listings(book, book.account.listings.rename(old, new))
    _change_orders(book, old, event.orders, lambda order: replace(order, symbol=new))
    position = book.positions.get(old)
    if position:
        book.put_position(replace(position, qty=Decimal(0)))
        book.put_position(replace(position, symbol=new))
        _note(book, ActivityType.NAME_CHANGE, new)


def _spin_off(book: AccountBook, event: events.SpinOffEvent) -> None:
    """The new share is worth `value_fraction` of the old one, spread over `rate` shares."""
    part, rate = event.value_fraction, event.rate
    listings = book.account.listings.spin_off(event.symbol, event.new_symbol, factor=part / rate)
    _change_listings(book, listings.scale(event.symbol, ONE - part))
    _change_orders(book, event.symbol, event.orders, lambda order: _reprice(order, ONE - part))
    position = book.positions.get(event.symbol)
    if position is None:
        return
    price = position.last_price
    child = AccountPosition(
        symbol=event.new_symbol,
        qty=(position.qty * rate).quantize(SHARE_PLACES),
        cost=position.cost * part,
        last_price=price * part / rate,
        lastday_price=price * part / rate,
    )
    book.put_position(child)
    book.put_position(
        replace(position, cost=position.cost * (ONE - part), last_price=price * (ONE - part))
    )
    _note(book, ActivityType.SPIN_OFF, event.new_symbol, qty=child.qty)


def _reinvest(book: AccountBook, event: events.ReinvestEvent) -> None:
    position = book.positions.get(event.symbol)
    if position is None:
        return
    more = event.qty if position.qty > 0 else -event.qty
    cost = position.cost + event.qty * position.last_price
    book.put_position(replace(position, qty=position.qty + more, cost=cost))
    _note(book, ActivityType.DIVIDEND, event.symbol, qty=more)


def _delist(book: AccountBook, event: events.DelistEvent) -> None:
    for order in book.open_orders(event.symbol):
        settlement.end(book, order, OrderStatus.CANCELED)
    _change_listings(book, book.account.listings.retire(event.symbol))
    position = book.positions.get(event.symbol)
    if position and event.price is not None:
        cash = position.qty * event.price
        book.account = replace(book.account, cash=book.account.cash + cash)
        book.put_position(replace(position, qty=Decimal(0), cost=Decimal(0)))
        _note(book, ActivityType.REMOVAL, event.symbol, qty=-position.qty, cash=cash)


def _transfer(book: AccountBook, event: events.TransferEvent) -> None:
    book.account = replace(book.account, cash=book.account.cash + event.amount)
    kind = ActivityType.DEPOSIT if event.amount > 0 else ActivityType.WITHDRAWAL
    _note(book, kind, cash=event.amount)


def _block(book: AccountBook, event: events.BlockEvent) -> None:
    book.account = replace(book.account, blocked=event.blocked)


def _halt(book: AccountBook, event: events.HaltEvent) -> None:
    _change_listings(book, book.account.listings.halt(event.symbol, halted=event.halted))


def _close_exchange(book: AccountBook, event: events.ClosureEvent) -> None:
    session = event.session or book.account.session
    if session:
        _change_listings(book, book.account.listings.close(session))


def _end_orders(book: AccountBook, event: events.EndOrderEvent) -> None:
    for order in list(book.all_open()):
        is_named = event.client_order_id in ("", order.client_order_id)
        if event.symbol not in ("", order.symbol) or not is_named or not order.is_open:
            continue
        if event.half != "both" and (order.type is OrderType.STOP) != (event.half == "stop"):
            continue
        status = ENDINGS.get(event.status, OrderStatus.REJECTED)
        settlement.end(book, order, status, alone=event.half != "both")


def trade_by_hand(
    book: AccountBook, event: events.HandTradeEvent, *, price: Decimal, costs: Costs
) -> None:
    """Fill an order that carries no id of ours."""
    number = book.tick()
    now = book.now
    order = BrokerOrder(
        id=identity(book.account.number, "order", number),
        client_order_id=identity(book.account.number, "hand", number),
        symbol=event.symbol,
        side=event.side,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        order_class=OrderClass.SIMPLE,
        position_intent=position_intent(book.shares(event.symbol), event.side),
        qty=event.qty,
        limit_price=None,
        stop_price=None,
        status=OrderStatus.NEW,
        submitted_at=now,
        updated_at=now,
        expires_at=now,
    )
    settlement.fill(book, book.put(order), price=price, qty=event.qty, market=price, costs=costs)


# --- parts ----------------------------------------------------------------------------------------


def _change_listings(book: AccountBook, listings: Any) -> None:
    book.account = replace(book.account, listings=listings)


def _change_orders(
    book: AccountBook,
    symbol: str,
    policy: events.OpenOrders,
    adjust: Callable[[BrokerOrder], BrokerOrder],
) -> None:
    if policy == "keep":
        return
    for order in [each for each in book.all_open() if each.symbol == symbol]:
        if policy == "adjust":
            book.put(adjust(order))
        elif order.is_open and book.orders[order.id].is_open:
            settlement.end(book, book.orders[order.id], OrderStatus.CANCELED)


def _scale(order: BrokerOrder, ratio: Decimal) -> BrokerOrder:
    qty = (order.qty * ratio).to_integral_value(ROUND_DOWN)
    return _reprice(replace(order, qty=qty), ONE / ratio)


def _reprice(order: BrokerOrder, factor: Decimal) -> BrokerOrder:
    return replace(
        order,
        limit_price=_times(order.limit_price, factor),
        stop_price=_times(order.stop_price, factor),
    )


def _times(price: Decimal | None, factor: Decimal) -> Decimal | None:
    return None if price is None else (price * factor).quantize(Decimal("0.01"))


def _note(
    book: AccountBook,
    kind: ActivityType,
    symbol: str = "",
    *,
    qty: Decimal = Decimal(0),
    cash: Decimal = Decimal(0),
) -> None:
    number = book.account.sequence
    book.note_activity(
        Activity(
            id=identity(book.account.number, "activity", number, kind.value, symbol),
            type=kind,
            at=book.now,
            net_amount=cash,
            symbol=symbol,
            qty=qty,
        )
    )


_APPLY: dict[type, Callable[[AccountBook, Any], None]] = {
    events.SplitEvent: _split,
    events.RenameEvent: _rename,
    events.SpinOffEvent: _spin_off,
    events.ReinvestEvent: _reinvest,
    events.DelistEvent: _delist,
    events.TransferEvent: _transfer,
    events.BlockEvent: _block,
    events.HaltEvent: _halt,
    events.EndOrderEvent: _end_orders,
    events.ClosureEvent: _close_exchange,
}
