"""From a valid ticket to orders in the book: ids, expiry, and the stop leg of an OCO.

Called by the exchange once the account may place the order.
"""

import datetime as dt

from msgspec.structs import replace

from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.market_hours import closing_time
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderClass,
    OrderType,
    Ticket,
    TimeInForce,
    identity,
)
from services.sim_broker.exchange.position import position_intent
from shared.schemas.values import OrderStatus, Stage

GTC_DAYS = 90
"""Alpaca expires a GTC order after 90 days."""


def accept(book: AccountBook, ticket: Ticket) -> BrokerOrder:
    """Put the ticket's order in the book, with its leg if it is an OCO."""
    number = book.tick()
    order = _order(book, ticket, number)
    if ticket.order_class is OrderClass.SIMPLE:
        return book.put(order)
    account = book.account.number
    stop = replace(
        order,
        id=identity(account, "leg", number),
        client_order_id=identity(account, "leg's client", number),
        type=OrderType.STOP,
        limit_price=None,
        status=OrderStatus.HELD,
        parent_id=order.id,
    )
    order = book.put(replace(order, stop_price=None, leg_id=stop.id))
    book.put(stop)
    return order


def _order(book: AccountBook, ticket: Ticket, number: int) -> BrokerOrder:
    now = book.now
    return BrokerOrder(
        id=identity(book.account.number, "order", number),
        client_order_id=ticket.client_order_id,
        symbol=ticket.symbol,
        side=ticket.side,
        type=ticket.type,
        time_in_force=ticket.time_in_force,
        order_class=ticket.order_class,
        position_intent=position_intent(book.shares(ticket.symbol), ticket.side),
        qty=ticket.qty,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        status=OrderStatus.ACCEPTED,
        submitted_at=now,
        updated_at=now,
        expires_at=_expiry(book, ticket.time_in_force),
    )


def _expiry(book: AccountBook, time_in_force: TimeInForce) -> dt.datetime:
    account = book.account
    last_day = account.session or account.at.date()
    if account.stage is Stage.MARK:
        last_day += dt.timedelta(days=1)
    if time_in_force is TimeInForce.GTC:
        last_day += dt.timedelta(days=GTC_DAYS)
    return closing_time(last_day)
