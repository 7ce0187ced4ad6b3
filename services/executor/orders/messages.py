"""What is published of an order, addressed in its own correlation. Pure.

Called by `apply_update.py` and by the handlers of outcomes.
"""

import datetime as dt

from services.executor.orders.state import State
from shared.domain.trading.orders import Fill, Order, ProtectionForm
from shared.runtime.runner.contract import Outgoing
from shared.schemas import messages as m
from shared.schemas.values import Ending, OrderStatus, Protection, Purpose

Messages = tuple[Outgoing, ...]


def outgoing(state: State, order: Order, message: m.Message) -> Outgoing:
    """Address a message in the order's own correlation.

    A protection works on in later sessions than its entry's.
    """
    later = order.purpose is Purpose.PROTECT and state.session
    return Outgoing(
        message, state.session if later and state.session else order.session, order.correlation_id
    )


def unknown_message(state: State, order: Order, detail: str) -> Outgoing:
    message = m.OrderUnknown(
        client_order_id=order.client_order_id, symbol=order.symbol, detail=detail
    )
    return outgoing(state, order, message)


def arrival_messages(state: State, order: Order) -> Messages:
    if order.purpose is not Purpose.PROTECT or order.form is ProtectionForm.MARKET:
        return (outgoing(state, order, _submission_message(order)),)
    if order.status is OrderStatus.REJECTED or order.protection is None:
        return ()
    return (outgoing(state, order, _placement_message(order)),)


def _submission_message(order: Order) -> m.OrderSubmitted:
    return m.OrderSubmitted(
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        broker_order_id=order.broker_order_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        purpose=order.purpose,
        qty=order.qty,
        limit_price=order.limit_price,
    )


def _placement_message(order: Order) -> m.ProtectionPlaced:
    assert order.protection is not None
    return m.ProtectionPlaced(
        symbol=order.symbol,
        strategy=order.strategy,
        parent_client_order_id=order.parent,
        client_order_id=order.client_order_id,
        broker_order_id=order.broker_order_id,
        counter=order.counter,
        side=order.side,
        qty=order.qty,
        stop=order.protection.stop,
        target=order.protection.target,
    )


def ending_message(order: Order, detail: str) -> m.OrderEnded:
    return m.OrderEnded(
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        purpose=order.purpose,
        ending=order.ending or Ending.NOT_SENT,
        filled_qty=order.filled_qty,
        average_price=order.average_price,
        detail=detail,
    )


def fill_message(
    order: Order,
    fill: Fill,
    plan: Protection | None,
    session: dt.date,
    filled_at: dt.datetime,
) -> m.OrderFilled:
    return m.OrderFilled(
        client_order_id=order.client_order_id,
        decision_id=order.decision_id,
        strategy=order.strategy,
        symbol=order.symbol,
        side=order.side,
        purpose=order.purpose,
        session=session,
        qty=fill.qty,
        price=fill.price,
        cumulative_qty=order.filled_qty,
        time_stop_bars=plan.time_stop_bars if plan else 0,
        stop=plan.stop if plan else None,
        filled_at=filled_at,
    )
