"""What the broker shows of an order, taken into the books, and what is reported of it. Pure.

Called by the handlers of outcomes and of reconciliations; the last step of each is `concluded`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from services.executor.orders import protection as protect
from services.executor.orders.state import (
    OpenScan,
    PositionDrift,
    State,
    uncovered_symbols,
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
    ProtectionForm,
    apply,
    difference,
    mark_unknown,
)
from shared.runtime.runner.contract import Outgoing
from shared.schemas import messages as m
from shared.schemas.values import Ending, OrderStatus, Purpose, Side

Messages = tuple[Outgoing, ...]


def outgoing(state: State, order: Order, message: m.Message) -> Outgoing:
    """Address a message in the order's own correlation.

    A protection works on in later sessions than its entry's.
    """
    later = order.purpose is Purpose.PROTECT and state.session
    return Outgoing(
        message, state.session if later and state.session else order.session, order.correlation_id
    )


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
        messages += _arrival_messages(state, progress.order)
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


def unknown_message(state: State, order: Order, detail: str) -> Outgoing:
    message = m.OrderUnknown(
        client_order_id=order.client_order_id, symbol=order.symbol, detail=detail
    )
    return outgoing(state, order, message)


def _arrival_messages(state: State, order: Order) -> Messages:
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


def _apply_fill(
    state: State, order: Order, fill: Fill, view: OrderView, at: dt.datetime
) -> tuple[State, Outgoing]:
    session = state.session or order.session
    session = order.session if order.purpose is Purpose.ENTRY else session
    before = state.positions.get(order.symbol)
    state = _book_fill(state, order, fill, session, view.filled_at or at)
    plan = order.protection or (before.protection if before else None)
    message = m.OrderFilled(
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
        filled_at=view.filled_at or at,
    )
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


def conclude(
    state: State, messages: Iterable[Outgoing], symbols: Iterable[str], *, at: dt.datetime
) -> tuple[State, Messages]:
    """Record the protections that are missing and report the scans that are finished."""
    for symbol in symbols:
        state = protect.request_protection(state, symbol, at=at)
    state, told = _finish_scans(state)
    return state, (*messages, *told)


def _finish_scans(state: State) -> tuple[State, Messages]:
    pending = {key: scan for key, scan in state.scans.items() if not scan.executed}
    if not pending:
        return state, ()
    exposed = frozenset(_exposed_symbols(state))
    done = {key: scan for key, scan in pending.items() if _is_complete(state, scan, exposed)}
    if not done:
        return state, ()
    scans = {
        key: replace(scan, executed=True) if key in done else scan
        for key, scan in state.scans.items()
    }
    messages = tuple(
        Outgoing(
            m.ScanExecuted(
                scan_id=scan.scan_id, slot=scan.slot, phase=scan.phase, final=scan.final
            ),
            scan.session,
            scan.correlation_id,
        )
        for scan in done.values()
    )
    return replace(state, scans=scans), messages


def _exposed_symbols(state: State) -> list[str]:
    """Symbols whose stop does not rest yet; what cannot have one is the operator's, not the scan's."""
    selling = {
        order.symbol
        for order in state.orders.values()
        if order.purpose is Purpose.PROTECT and order.form is ProtectionForm.MARKET and order.rests
    }
    excused = {*selling, *state.disputes}
    return [
        symbol
        for symbol in uncovered_symbols(state)
        if symbol not in excused and not state.positions[symbol].blocked
    ]


def _is_complete(state: State, scan: OpenScan, exposed: frozenset[str]) -> bool:
    """Whether all its orders have ended; approvals come before their scan's decision.

    One that is missing was refused as it was read, and is nobody's order."""
    orders = [
        order
        for order in state.orders.values()
        if order.scan_id == scan.scan_id and order.phase is scan.phase
    ]
    finished = [order for order in orders if not order.live and order.symbol not in exposed]
    return len(orders) == len(finished)
