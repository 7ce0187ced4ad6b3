"""What the broker shows of an order, taken into the books, and what is reported of it. Pure.

Called by the handlers of outcomes and of reconciliations; `scans.py` is the last step of each.
"""

import datetime as dt
from decimal import Decimal

from msgspec.structs import replace

from services.executor.orders import protection as protect
from services.executor.orders.messages import (
    Messages,
    arrival_messages,
    ending_message,
    fill_message,
    outgoing,
    unknown_message,
)
from services.executor.orders.state import (
    PositionDrift,
    State,
    with_halt,
    with_order,
    with_position,
)
from shared.domain.trading import ledger
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import (
    Fill,
    Order,
    OrderView,
    apply,
    difference,
    look_later,
    mark_unknown,
)
from shared.runtime.runner.contract import Outgoing
from shared.schemas.values import Ending, OrderStatus, Purpose, Side


def apply_view(
    state: State, order: Order, view: OrderView, *, at: dt.datetime
) -> tuple[State, Messages]:
    """Take in one order as the broker shows it now; another order under our id halts."""
    other = difference(order, view)
    if other:
        return _apply_contradiction(state, order, other, at)
    if order.ending is Ending.ABANDONED:
        state, order = _revive(state, order, view)
    progress = apply(order, view, at=at)
    messages: list[Outgoing] = []
    first = not order.broker_order_id
    state = with_order(state, progress.order)
    if first:
        state = replace(state, sent=state.sent + (not order.was_sent), ambiguous=0)
        messages += arrival_messages(state, progress.order)
        state = _note_fewer(state, order, progress.order, at)
    if progress.fill:
        state, filled = _apply_fill(state, progress.order, progress.fill, view, at)
        messages.append(filled)
    if progress.ended:
        state, ends = _apply_ending(state, progress.order, view.reported, at)
        messages += ends
    if progress.anomaly:
        state = with_halt(state, progress.anomaly)
    return state, tuple(messages)


def apply_view_safely(
    state: State, order: Order, view: OrderView, *, at: dt.datetime
) -> tuple[State, Messages]:
    """The same for one of many: what cannot be booked halts and costs no other order."""
    try:
        return apply_view(state, order, view, at=at)
    except Exception as error:  # noqa: BLE001  halts and goes on
        why = f"{order.client_order_id} could not be handled: {error!r}"
        return put_off(with_halt(state, why[:500]), order, at=at), ()


def put_off(state: State, order: Order, *, at: dt.datetime) -> State:
    """Look at it again later, and later each time; it is not sent meanwhile."""
    if not order.live:
        return state
    doubtful = order if order.was_sent else mark_unknown(order, at=at)
    return with_order(state, look_later(replace(doubtful, alarmed=True), at=at))


def _revive(state: State, order: Order, view: OrderView) -> tuple[State, Order]:
    """An order given up as never arrived is there after all: follow it, and tell the operator."""
    why = f"{order.client_order_id} ({order.symbol}) was given up, and the broker shows it"
    return with_halt(state, why), replace(order, ending=None, status=OrderStatus.UNKNOWN)


def _note_fewer(state: State, sent: Order, taken: Order, at: dt.datetime) -> State:
    """A protection for fewer shares than ours: the books differ until they are compared."""
    symbol = sent.symbol
    if sent.purpose is not Purpose.PROTECT or taken.qty >= sent.qty or symbol in state.disputes:
        return state
    drift = PositionDrift(theirs=Decimal(taken.qty), due_at=at)
    return replace(state, drifts={symbol: drift, **state.drifts})


def _apply_ending(
    state: State, order: Order, detail: str, at: dt.datetime
) -> tuple[State, Messages]:
    if order.purpose is Purpose.PROTECT and order.ending is not Ending.FILLED:
        if order.ending is Ending.REJECTED:
            state = protect.note_refusal(state, order, passes=False, at=at)
        else:
            state = protect.note_ending(state, order, at=at)
    return report_end(state, order, detail)


def report_end(state: State, order: Order, detail: str) -> tuple[State, Messages]:
    """The one terminal message of an order, unless it was published before."""
    if order.reported_end:
        return state, ()
    order = replace(order, reported_end=True)
    message = outgoing(state, order, ending_message(order, detail))
    return with_order(state, order), (message,)


def _apply_contradiction(
    state: State, order: Order, other: str, at: dt.datetime
) -> tuple[State, Messages]:
    doubtful = replace(mark_unknown(order, at=at), alarmed=True)
    state = with_order(state, doubtful)
    if order.alarmed:
        return state, ()
    state = with_halt(state, f"the broker's {order.client_order_id} is another order: {other}")
    return state, (unknown_message(state, doubtful, other),)


def _apply_fill(
    state: State, order: Order, fill: Fill, view: OrderView, at: dt.datetime
) -> tuple[State, Outgoing]:
    session = state.session or order.session
    session = order.session if order.purpose is Purpose.ENTRY else session
    before = state.positions.get(order.symbol)
    state = _book_fill(state, order, fill, session, view.filled_at or at)
    plan = order.protection or (before.protection if before else None)
    message = fill_message(order, fill, plan, session, view.filled_at or at)
    return state, outgoing(state, order, message)


def _book_fill(
    state: State, order: Order, fill: Fill, session: dt.date, filled_at: dt.datetime
) -> State:
    held = state.positions.get(order.symbol)
    qty = fill.qty if order.side is Side.BUY else -fill.qty
    booked = ledger.book(held.lots if held else (), qty=qty, price=fill.price, session=session)
    state = replace(state, realised=state.realised + booked.realised)
    if not booked.lots:
        return with_position(state, order.symbol, None)
    if order.purpose is not Purpose.ENTRY and booked.lots[-1].qty * qty > 0:
        state = with_halt(
            state, f"{order.client_order_id} traded more {order.symbol} than was held"
        )
        position = replace(_lots_after(order, held, booked.lots, filled_at), protection=None)
    else:
        position = _lots_after(order, held, booked.lots, filled_at)
    return with_position(state, order.symbol, position)


def _lots_after(
    order: Order, held: HeldLots | None, lots: tuple[ledger.Lot, ...], filled_at: dt.datetime
) -> HeldLots:
    if held:
        return replace(held, lots=lots)
    return HeldLots(
        symbol=order.symbol,
        strategy=order.strategy,
        lots=lots,
        parent=order.client_order_id,
        decision_id=order.decision_id,
        correlation_id=order.correlation_id,
        protection=order.protection,
        opened_at=filled_at,
    )


def apply_refusal(state: State, order: Order, detail: str) -> tuple[State, Messages]:
    """`order` has just ended by refusal; of a protection that was never placed nobody is told."""
    state = with_order(state, order)
    if order.purpose is Purpose.PROTECT:
        return state, ()
    return report_end(state, order, detail)
