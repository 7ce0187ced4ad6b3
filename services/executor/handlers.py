"""What the executor makes of each message and of each outcome of its work; pure, the table is at the foot.

It may do less than the gate approved, never more: nothing here makes an order that no approval
signed.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from services.executor.orders import apply_update as settle
from services.executor.orders.outcomes import (
    Delayed,
    Halted,
    Missed,
    Reconciled,
    Refused,
    Repeated,
    Seen,
    Unclear,
    Unseen,
)
from services.executor.orders.reconciliation import on_reconciled
from services.executor.orders.state import (
    ExecutorContext,
    ExecutorSettings,
    OpenScan,
    ReconcileWish,
    State,
    with_halt,
    with_order,
    without_order,
)
from shared.domain.errors import InvalidMessage
from shared.domain.trading import orders
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import Order
from shared.runtime.runner.contract import Decision, handler_table, on
from shared.schemas.envelope import Envelope
from shared.schemas.messages import (
    OrderApproved,
    ReconcileDue,
    ReconcileRequested,
    ScanDecided,
    SessionOpened,
)
from shared.schemas.values import OrderStatus, Purpose

Decided = Decision[State]


# --- what is heard --------------------------------------------------------------------------------


def on_session_opened(state: State, message: SessionOpened, _: ExecutorContext) -> Decided:
    """What ended in other sessions is forgotten, unless its scan still waits; the journal remembers it."""
    today = message.session
    scans = {
        key: scan for key, scan in state.scans.items() if scan.session == today or not scan.executed
    }
    waiting = {scan.scan_id for scan in scans.values()}
    kept = {
        key: order
        for key, order in state.orders.items()
        if order.live or order.session == today or order.scan_id in waiting
    }
    return replace(state, session=today, orders=kept, scans=scans), ()


def on_order_approved(state: State, message: OrderApproved, context: ExecutorContext) -> Decided:
    """Record it; whether it is still allowed is looked at when it is about to be sent."""
    envelope, settings = context.trigger.envelope, context.settings
    if envelope is None or (envelope.mode, envelope.account) != (settings.mode, settings.account):
        raise InvalidMessage(
            f"an approval for another account than {settings.mode} {settings.account}"
        )
    if message.client_order_id in state.orders:
        return replace(state, repeats=(*state.repeats, message.decision_id)), ()
    return with_order(
        state, _received(message, envelope, _refusal(state, message, envelope, settings))
    ), ()


def _refusal(
    state: State, message: OrderApproved, envelope: Envelope, settings: ExecutorSettings
) -> str:
    entry = message.purpose is Purpose.ENTRY
    checks = (
        (envelope.session != state.session, f"session {envelope.session} is not the open one"),
        (envelope.config_pin != settings.config_pin, "approved under another configuration"),
        (message.qty <= 0 or message.limit_price <= 0, "no quantity or no price"),
        (not is_ours(message.client_order_id), "its id is not of our making"),
        (message.purpose is Purpose.PROTECT, "protections are not approved by themselves"),
        (entry and message.protection is None, "an entry without protection"),
    )
    return next((sentence for wrong, sentence in checks if wrong), "")


def _received(message: OrderApproved, envelope: Envelope, refusal: str) -> Order:
    return Order(
        client_order_id=message.client_order_id,
        decision_id=message.decision_id,
        strategy=message.strategy,
        symbol=message.symbol,
        side=message.side,
        purpose=message.purpose,
        qty=message.qty,
        session=envelope.session,
        number=envelope.seq,
        limit_price=message.limit_price,
        protection=message.protection,
        scan_id=message.scan_id,
        slot=message.slot,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.id,
        expires_at=message.expires_at,
        refusal=refusal,
    )


def on_scan_decided(state: State, message: ScanDecided, context: ExecutorContext) -> Decided:
    key = f"{message.scan_id}/{message.phase}"
    if key in state.scans:
        return state, ()
    scan = OpenScan(
        scan_id=message.scan_id,
        slot=message.slot,
        phase=message.phase,
        approved=message.approved,
        final=message.final,
        session=context.trigger.session,
        correlation_id=context.trigger.correlation_id,
    )
    return settle.concluded(replace(state, scans={**state.scans, key: scan}), (), (), at=context.at)


def on_reconcile_due(state: State, message: ReconcileDue, context: ExecutorContext) -> Decided:
    return _reconciling(replace(state, stage=message.stage), message.session, context), ()


def on_reconcile_requested(
    state: State, _: ReconcileRequested, context: ExecutorContext
) -> Decided:
    return _reconciling(state, state.session or context.trigger.session, context), ()


def _reconciling(state: State, session: dt.date, context: ExecutorContext) -> State:
    trigger = context.trigger
    wish = ReconcileWish(
        session=session,
        stage=state.stage,
        correlation_id=trigger.correlation_id,
        causation_id=trigger.id,
    )
    return replace(state, reconciles=(*state.reconciles, wish))


# --- what became of our work ----------------------------------------------------------------------


def on_seen(state: State, outcome: Seen, context: ExecutorContext) -> Decided:
    order = state.orders[outcome.view.client_order_id]
    if outcome.canceling:
        order = orders.mark_canceling(order, at=context.at)
    state, words = settle.taken(with_order(state, order), order, outcome.view, at=context.at)
    state = _too_long(state, order.client_order_id, context)
    return settle.concluded(state, words, (order.symbol,), at=context.at)


def on_refused(state: State, outcome: Refused, context: ExecutorContext) -> Decided:
    order = orders.end_unsent(state.orders[outcome.client_order_id], outcome.ending)
    state, words = settle.refused(state, order, outcome.detail)
    if outcome.posted:
        state = replace(state, sent=state.sent + 1, ambiguous=0)
    if outcome.halts:
        state = with_halt(state, f"the broker takes no orders: {outcome.detail}")
    if order.purpose is Purpose.PROTECT and not outcome.posted and order.symbol in state.positions:
        state = _reconciling(state, state.session or order.session, context)
    return settle.concluded(state, words, (order.symbol,), at=context.at)


def on_delayed(state: State, outcome: Delayed, context: ExecutorContext) -> Decided:
    order = state.orders[outcome.client_order_id]
    return with_order(state, orders.delay(order, until=outcome.until, counted=outcome.counted)), ()


def on_unclear(state: State, outcome: Unclear, context: ExecutorContext) -> Decided:
    before = state.orders[outcome.client_order_id]
    order = orders.mark_unknown(before, at=context.at)
    ambiguous = state.ambiguous + 1
    state = replace(
        with_order(state, order), ambiguous=ambiguous, sent=state.sent + (not before.was_sent)
    )
    if ambiguous == context.settings.ambiguous_in_a_row:
        state = with_halt(
            state, f"{ambiguous} orders in a row of which nobody knows whether they were taken"
        )
    return state, (settle.unknown(state, order, outcome.detail),)


def on_missed(state: State, outcome: Missed, context: ExecutorContext) -> Decided:
    before = state.orders[outcome.client_order_id]
    known = before if before.sent_at else replace(before, sent_at=outcome.sent_at)
    order = orders.count_miss(known, at=context.at)
    state = replace(with_order(state, order), sent=state.sent + (not before.was_sent))
    if order.status is OrderStatus.ABANDONED:
        words = (settle.of(state, order, settle.ended(order, "the broker never had it")),)
        return settle.concluded(state, words, (order.symbol,), at=context.at)
    state = _too_long(state, order.client_order_id, context)
    return state, () if before.was_sent else (
        settle.unknown(state, order, "journaled, not found at the broker"),
    )


def on_unseen(state: State, outcome: Unseen, context: ExecutorContext) -> Decided:
    order = state.orders[outcome.client_order_id]
    if outcome.canceling:
        order = orders.mark_canceling(order, at=context.at)
    state = with_order(state, orders.look_later(order, at=context.at))
    return _too_long(state, order.client_order_id, context), ()


def on_repeated(state: State, outcome: Repeated, _: ExecutorContext) -> Decided:
    if outcome.client_order_id:
        return without_order(state, outcome.client_order_id), ()
    return replace(state, repeats=state.repeats[1:]), ()


def on_halted(state: State, outcome: Halted, _: ExecutorContext) -> Decided:
    return replace(state, halts=tuple(why for why in state.halts if why != outcome.why)), ()


def _too_long(state: State, client_order_id: str, context: ExecutorContext) -> State:
    """One order unknown for a minute halts, once."""
    order = state.orders[client_order_id]
    if order.unknown_at is None or order.alarmed or not order.live:
        return state
    seconds = (context.at - order.unknown_at).total_seconds()
    if seconds < context.settings.unknown_seconds:
        return state
    state = with_order(state, replace(order, alarmed=True))
    return with_halt(
        state, f"{client_order_id} ({order.symbol}) has been unknown for {seconds:.0f} s"
    )


HANDLERS = handler_table(
    on(SessionOpened, on_session_opened),
    on(OrderApproved, on_order_approved),
    on(ScanDecided, on_scan_decided),
    on(ReconcileDue, on_reconcile_due),
    on(ReconcileRequested, on_reconcile_requested),
    on(Seen, on_seen),
    on(Refused, on_refused),
    on(Delayed, on_delayed),
    on(Unclear, on_unclear),
    on(Missed, on_missed),
    on(Unseen, on_unseen),
    on(Repeated, on_repeated),
    on(Halted, on_halted),
    on(Reconciled, on_reconciled),
)
