"""How an order of ours is put to a broker, and how its answer is told to the handlers. Pure; used by work."""

from __future__ import annotations

import datetime as dt
from typing import Any

from services.executor.brokers.protocol import Answer, Fate, Kind, OrderRequest
from services.executor.orders.journal import RowState
from services.executor.orders.outcomes import Delayed, Refused, Seen, Unclear
from shared.domain.trading.orders import Order
from shared.schemas.values import Ending, Purpose

TRIES = {Fate.NOT_SENT: 2, Fate.NOT_TAKEN: 3}
ROW_STATES = {
    Fate.NOT_SENT: RowState.NOT_TAKEN,
    Fate.NOT_TAKEN: RowState.NOT_TAKEN,
    Fate.REJECTED: RowState.ENDED,
    Fate.ACCEPTED: RowState.TAKEN,
}


def request_of(order: Order, qty: int) -> OrderRequest:
    """`qty` may be fewer shares than the order's, never more."""
    plan = order.protection
    if order.purpose is Purpose.PROTECT and plan is not None:
        return OrderRequest(
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            qty=min(qty, order.qty),
            kind=Kind.STOP if plan.target is None else Kind.STOP_AND_TARGET,
            limit_price=plan.target,
            stop_price=plan.stop,
        )
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=min(qty, order.qty),
        kind=Kind.IMMEDIATE,
        limit_price=order.limit_price,
    )


def told(order: Order, answer: Answer, *, at: dt.datetime) -> Any:
    """The outcome of one POST; `exists` is for work to look up."""
    name = order.client_order_id
    if answer.fate is Fate.ACCEPTED and answer.order:
        return Seen(view=answer.order)
    if answer.fate is Fate.REJECTED:
        return Refused(
            client_order_id=name,
            ending=Ending.REJECTED,
            detail=answer.detail,
            posted=True,
            halts=answer.halts,
        )
    if answer.fate in TRIES:
        return _again(order, answer, at)
    return Unclear(client_order_id=name, detail=answer.detail)


def _again(order: Order, answer: Answer, at: dt.datetime) -> Any:
    """Within its life and its tries; protection lives as long as the position and is tried until it stands."""
    until = at + dt.timedelta(seconds=answer.retry_after)
    last = answer.counted and order.tries + 1 >= TRIES[answer.fate]
    too_late = order.expires_at is not None and until >= order.expires_at
    if order.purpose is not Purpose.PROTECT and (last or too_late):
        return Refused(
            client_order_id=order.client_order_id, ending=Ending.EXPIRED, detail=answer.detail
        )
    return Delayed(
        client_order_id=order.client_order_id,
        until=until,
        detail=answer.detail,
        counted=answer.counted,
    )
