"""How an order is put to a broker, and what each class of answer makes of it. Pure.

Used by `submission.py`.
"""

import datetime as dt

from services.executor.brokers.protocol import Kind, OrderRequest, SubmitAnswer, SubmitResult
from services.executor.orders import outcomes as o
from services.executor.orders.journal import RowState
from shared.domain.trading.orders import Order, ProtectionForm
from shared.schemas.values import Ending, Purpose

TRIES = {SubmitResult.NOT_SENT: 2, SubmitResult.NOT_TAKEN: 3}
"""POSTs in all of what was surely not taken; a busy broker gets one more than an absent one."""
ROW_STATES = {
    SubmitResult.NOT_SENT: RowState.NOT_TAKEN,
    SubmitResult.NOT_TAKEN: RowState.NOT_TAKEN,
    SubmitResult.WITHHELD: RowState.NOT_TAKEN,
    SubmitResult.REJECTED: RowState.ENDED,
    SubmitResult.ACCEPTED: RowState.TAKEN,
}


def may_be_resent(order: Order) -> bool:
    """A protection the broker has never shown: it only reduces, and its id can be taken once."""
    return order.purpose is Purpose.PROTECT and not order.broker_order_id


def request_of(order: Order, qty: int) -> OrderRequest:
    """What is put to the broker; `qty` may be fewer shares than the order's, never more."""
    form = order.form if order.purpose is Purpose.PROTECT else None
    plan = order.protection if form and form is not ProtectionForm.MARKET else None
    kind = Kind(form) if form else Kind.IMMEDIATE
    target = plan.target if plan and form is ProtectionForm.STOP_AND_TARGET else None
    return OrderRequest(
        client_order_id=order.client_order_id,
        symbol=order.symbol,
        side=order.side,
        qty=min(qty, order.qty),
        kind=kind,
        limit_price=target if form else order.limit_price,
        stop_price=plan.stop if plan else None,
    )


def submit_outcome(order: Order, answer: SubmitAnswer, *, at: dt.datetime) -> o.SubmissionOutcome:
    """The outcome of one POST by its class; `exists` is for the sender to look up."""
    name = order.client_order_id
    if answer.result is SubmitResult.ACCEPTED and answer.order:
        return o.OrderObserved(view=answer.order)
    if answer.result is SubmitResult.REJECTED:
        return o.SubmitRefused(
            client_order_id=name,
            ending=Ending.REJECTED,
            detail=answer.detail,
            posted=True,
            passes=answer.passes,
            halts=answer.halts,
        )
    if answer.result in TRIES:
        return _try_again(order, answer, at)
    return o.SubmitUnknown(client_order_id=name, detail=answer.detail)


def _try_again(order: Order, answer: SubmitAnswer, at: dt.datetime) -> o.SubmissionOutcome:
    """Try again within its life and its tries; protection is tried until it stands."""
    name, until = order.client_order_id, at + dt.timedelta(seconds=answer.retry_after)
    last = answer.counted and order.tries + 1 >= TRIES[answer.result]
    too_late = order.expires_at is not None and until >= order.expires_at
    if order.purpose is not Purpose.PROTECT and (last or too_late):
        return o.SubmitRefused(client_order_id=name, ending=Ending.EXPIRED, detail=answer.detail)
    return o.SubmitDelayed(
        client_order_id=name, until=until, detail=answer.detail, counted=answer.counted
    )
