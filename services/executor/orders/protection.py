"""Every open position has a stop resting at the broker: what must be sent, and what must go. Pure.

Called at the end of every handler that may have changed a position or an order. Its authority is
the entry's signed approval: ids derive from it, the quantity is never more than what is held.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from services.executor.orders.state import (
    State,
    exit_of,
    live_orders,
    protection_of,
    with_order,
    with_position,
)
from shared.domain.trading import ids
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.schemas.values import Protection, Purpose, Side

REFUSALS = 3
LONGEST_BACKOFF = 60.0


def request_protection(state: State, symbol: str, *, at: dt.datetime) -> State:
    """Record the protection a symbol lacks; none while an entry fills or an exit is under way."""
    position = state.positions.get(symbol)
    if position is None or position.protection is None or exit_of(state, symbol):
        return state
    if live_orders(state, symbol, (Purpose.ENTRY,)):
        return state
    waiting = protection_of(state, symbol)
    if waiting is None:
        return _new_protection(state, position, position.protection, at=at)
    if waiting.waits and waiting.qty != abs(position.qty):
        return with_order(state, replace(waiting, qty=abs(position.qty)))
    return state


def is_stale(state: State, order: Order) -> bool:
    """A resting protection that no longer fits what is held."""
    if order.purpose is not Purpose.PROTECT or not order.rests:
        return False
    position = state.positions.get(order.symbol)
    return position is None or abs(position.qty) != order.qty


def _new_protection(
    state: State, position: HeldLots, plan: Protection, *, at: dt.datetime
) -> State:
    counter = position.protections + 1
    parent = state.orders.get(position.parent)
    order = Order(
        client_order_id=ids.client_order_id(ids.protection_digest(position.parent, counter)),
        decision_id=position.decision_id,
        strategy=position.strategy,
        symbol=position.symbol,
        side=Side.SELL if position.qty > 0 else Side.BUY,
        purpose=Purpose.PROTECT,
        qty=abs(position.qty),
        session=parent.session if parent else position.lots[0].session,
        number=parent.number if parent else 0,
        protection=plan,
        correlation_id=position.correlation_id,
        parent=position.parent,
        counter=counter,
        not_before=_backoff(position, at),
    )
    state = with_position(state, position.symbol, replace(position, protections=counter))
    return with_order(state, order)


def _backoff(position: HeldLots, at: dt.datetime) -> dt.datetime | None:
    if not position.refusals:
        return None
    return at + dt.timedelta(seconds=min(LONGEST_BACKOFF, 5.0 ** (position.refusals - 1)))
