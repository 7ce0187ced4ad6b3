"""What the executor makes of each message and each outcome of its work; the table is at the foot.

Pure. It may do less than the gate approved, never more: no order is made that no approval signed.
"""

from __future__ import annotations

import datetime as dt

from msgspec.structs import replace

from services.executor.orders import (
    adjustments,
    apply_update as updates,
    corporate_actions,
    outcomes as o,
    protection as protect,
)
from services.executor.orders.judgement import announced
from services.executor.orders.reconciliation import on_broker_snapshot, on_reconcile_failed
from services.executor.orders.state import (
    ExecutorContext,
    ExecutorSettings,
    OpenScan,
    ReconcileRequest,
    State,
    with_halt,
    with_order,
)
from services.executor.orders.submission import may_be_resent
from shared.domain.errors import InvalidMessage
from shared.domain.trading import orders
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import Order
from shared.runtime.runner.contract import Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.envelope import Envelope
from shared.schemas.values import Ending, OrderStatus, Purpose

# --- what is heard --------------------------------------------------------------------------------


def on_session_opened(
    state: State, message: m.SessionOpened, context: ExecutorContext
) -> Decision[State]:
    """Forget what ended in other sessions, unless its scan still waits; the journal remembers.

    A session is believed only in order, and only about the day on which it is announced.
    """
    today = message.session
    late = state.session is not None and today < state.session
    strange = abs((today - context.at.date()).days) > 1 and not context.settings.replay
    if late or strange:
        return with_halt(state, f"the session {today} was announced at {context.at.date()}"), ()
    scans = {
        key: scan for key, scan in state.scans.items() if scan.session == today or not scan.executed
    }
    waiting = {scan.scan_id for scan in scans.values()}
    kept = {
        key: order
        for key, order in state.orders.items()
        if order.live or order.session == today or order.scan_id in waiting
    }
    state = replace(state, session=today, orders=kept, scans=scans)
    return corporate_actions.move_stops(state, today), ()


def on_corporate_actions_seen(
    state: State, message: m.CorporateActionsSeen, context: ExecutorContext
) -> Decision[State]:
    """Splits, renames and removals of what is held, known before the open."""
    found = announced(
        CorporateActions(splits=message.splits, renames=message.renames, removals=message.removals)
    )
    before = state.actions
    state = corporate_actions.remember(state, found, message.session)
    if state.actions is before:
        return state, ()
    state = corporate_actions.move_stops(state, message.session)
    return _with_reconcile(state, state.session or message.session, context), ()


def on_order_approved(
    state: State, message: m.OrderApproved, context: ExecutorContext
) -> Decision[State]:
    """Record it; whether it is still allowed is looked at when it is about to be sent."""
    envelope, settings = context.trigger.envelope, context.settings
    if envelope is None or (envelope.mode, envelope.account) != (settings.mode, settings.account):
        raise InvalidMessage(
            f"an approval for another account than {settings.mode} {settings.account}"
        )
    if message.client_order_id in state.orders:
        return replace(state, repeats=(*state.repeats, message.decision_id)), ()
    return with_order(
        state, _order_from(message, envelope, _refusal(state, message, envelope, settings))
    ), ()


def _refusal(
    state: State, message: m.OrderApproved, envelope: Envelope, settings: ExecutorSettings
) -> str:
    entry = message.purpose is Purpose.ENTRY
    checks = (
        (envelope.session != state.session, f"session {envelope.session} is not the open one"),
        (envelope.config_pin != settings.config_pin, "approved under another configuration"),
        (message.qty <= 0 or message.limit_price <= 0, "no quantity or no price"),
        (not is_ours(message.client_order_id), "its id is not of our making"),
        (message.purpose is Purpose.PROTECT, "protections are not approved by themselves"),
        (entry and message.protection is None, "an entry without protection"),
        (
            entry and corporate_actions.has_action_on(state, message.symbol, envelope.session),
            "a corporate action takes effect today: entries wait a session",
        ),
    )
    return next((sentence for wrong, sentence in checks if wrong), "")


def _order_from(message: m.OrderApproved, envelope: Envelope, refusal: str) -> Order:
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


def on_scan_decided(
    state: State, message: m.ScanDecided, context: ExecutorContext
) -> Decision[State]:
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
    return updates.conclude(replace(state, scans={**state.scans, key: scan}), (), (), at=context.at)


def on_reconcile_due(
    state: State, message: m.ReconcileDue, context: ExecutorContext
) -> Decision[State]:
    """A stage has passed: what the broker refused may be taken now."""
    state = protect.unblock(replace(state, stage=message.stage), protect.REFUSED)
    return _with_reconcile(state, message.session, context), ()


def on_reconcile_requested(
    state: State, _: m.ReconcileRequested, context: ExecutorContext
) -> Decision[State]:
    state = replace(protect.unblock(state), retry_at=None)
    return _with_reconcile(state, state.session or context.trigger.session, context), ()


# --- the operator's word on a disputed position ---------------------------------------------------


def on_adopt_requested(
    state: State, message: m.AdoptRequested, context: ExecutorContext
) -> Decision[State]:
    state, messages = adjustments.adopt_dispute(state, message.symbol, by=message.by)
    return _after_word(state, messages, message.symbol, context)


def on_release_requested(
    state: State, message: m.ReleaseRequested, context: ExecutorContext
) -> Decision[State]:
    state, messages = adjustments.release(state, message.symbol, by=message.by)
    return _after_word(state, messages, message.symbol, context)


def on_drift_acknowledged(
    state: State, message: m.DriftAcknowledged, context: ExecutorContext
) -> Decision[State]:
    state = adjustments.acknowledge(state, message.symbol)
    return _after_word(state, (), message.symbol, context)


def _after_word(
    state: State, messages: tuple[m.Message, ...], symbol: str, context: ExecutorContext
) -> Decision[State]:
    session = state.session or context.trigger.session
    state = _with_reconcile(protect.unblock(state), session, context)
    correlation = context.trigger.correlation_id
    addressed = [Outgoing(message, session, correlation) for message in messages]
    return updates.conclude(state, addressed, (symbol,), at=context.at)


def _with_reconcile(state: State, session: dt.date, context: ExecutorContext) -> State:
    trigger = context.trigger
    request = ReconcileRequest(
        session=session,
        stage=state.stage,
        correlation_id=trigger.correlation_id,
        causation_id=trigger.id,
    )
    return replace(state, reconciles=(*state.reconciles, request))


# --- what became of our work ----------------------------------------------------------------------


def on_order_observed(
    state: State, outcome: o.OrderObserved, context: ExecutorContext
) -> Decision[State]:
    order = state.orders[outcome.view.client_order_id]
    if outcome.canceling:
        order = orders.mark_canceling(order, at=context.at)
    state, messages = updates.apply_view(
        with_order(state, order), order, outcome.view, at=context.at
    )
    state = _halt_if_pending_too_long(state, order.client_order_id, context)
    return updates.conclude(state, messages, (order.symbol,), at=context.at)


def on_submit_refused(
    state: State, outcome: o.SubmitRefused, context: ExecutorContext
) -> Decision[State]:
    order = orders.end_unsent(state.orders[outcome.client_order_id], outcome.ending)
    state, messages = updates.apply_refusal(state, order, outcome.detail)
    if outcome.posted:
        state = replace(state, sent=state.sent + 1, ambiguous=0)
    if outcome.halts:
        state = with_halt(state, f"the broker takes no orders: {outcome.detail}")
    if order.purpose is Purpose.PROTECT and outcome.posted:
        state = protect.note_refusal(state, order, passes=outcome.passes, at=context.at)
    elif order.purpose is Purpose.PROTECT and order.symbol in state.positions:
        state = _doubt_position(
            protect.note_absence(state, order, at=context.at), order.symbol, context
        )
    return updates.conclude(state, messages, (order.symbol,), at=context.at)


def on_stop_passed(
    state: State, outcome: o.StopPassed, context: ExecutorContext
) -> Decision[State]:
    order = state.orders[outcome.client_order_id]
    state = protect.note_passed(state, order, outcome.price)
    return updates.conclude(state, (), (order.symbol,), at=context.at)


def on_scale_doubtful(
    state: State, outcome: o.ScaleDoubtful, context: ExecutorContext
) -> Decision[State]:
    """Neither a stop at an old price nor a sale at a new one: it is compared first."""
    order = orders.end_unsent(state.orders[outcome.client_order_id], Ending.NOT_SENT)
    state = protect.note_absence(with_order(state, order), order, at=context.at)
    return _doubt_position(state, order.symbol, context), ()


def _doubt_position(state: State, symbol: str, context: ExecutorContext) -> State:
    """Compare books and broker now, and once more later."""
    if state.reconciles:
        return state
    return _with_reconcile(state, state.session or context.trigger.session, context)


def on_submit_delayed(
    state: State, outcome: o.SubmitDelayed, context: ExecutorContext
) -> Decision[State]:
    order = state.orders[outcome.client_order_id]
    return with_order(state, orders.delay(order, until=outcome.until, counted=outcome.counted)), ()


def on_submit_unknown(
    state: State, outcome: o.SubmitUnknown, context: ExecutorContext
) -> Decision[State]:
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
    return state, (updates.unknown_message(state, order, outcome.detail),)


def on_order_not_found(
    state: State, outcome: o.OrderNotFound, context: ExecutorContext
) -> Decision[State]:
    before = state.orders[outcome.client_order_id]
    if may_be_resent(before):
        return _resend(state, before, context)
    known = before if before.sent_at else replace(before, sent_at=outcome.sent_at)
    order = orders.count_miss(known, at=context.at)
    state = replace(with_order(state, order), sent=state.sent + (not before.was_sent))
    if order.status is OrderStatus.ABANDONED:
        state, messages = updates.report_end(state, order, "the broker never had it")
        return updates.conclude(state, messages, (order.symbol,), at=context.at)
    state = _halt_if_pending_too_long(state, order.client_order_id, context)
    messages = (
        ()
        if before.was_sent
        else (updates.unknown_message(state, order, "journaled, not found at the broker"),)
    )
    return updates.conclude(state, messages, (order.symbol,), at=context.at)


def _resend(state: State, before: Order, context: ExecutorContext) -> Decision[State]:
    order = orders.resend(before, at=context.at)
    state = replace(with_order(state, order), sent=state.sent - before.was_sent)
    return _halt_if_pending_too_long(state, order.client_order_id, context), ()


def on_lookup_failed(
    state: State, outcome: o.LookupFailed, context: ExecutorContext
) -> Decision[State]:
    order = state.orders[outcome.client_order_id]
    if outcome.canceling:
        order = orders.mark_canceling(order, at=context.at)
    state = with_order(state, orders.look_later(order, at=context.at))
    return _halt_if_pending_too_long(state, order.client_order_id, context), ()


def on_approval_repeated(
    state: State, outcome: o.ApprovalRepeated, context: ExecutorContext
) -> Decision[State]:
    """It was carried out and reported before; its scan need not wait for it."""
    order = state.orders.get(outcome.client_order_id)
    if order is None:
        return replace(state, repeats=state.repeats[1:]), ()
    ended = replace(orders.end_unsent(order, Ending.NOT_SENT), reported_end=True)
    return updates.conclude(with_order(state, ended), (), (), at=context.at)


def on_halt_latched(state: State, outcome: o.HaltLatched, _: ExecutorContext) -> Decision[State]:
    return replace(state, halts=tuple(why for why in state.halts if why != outcome.why)), ()


def _halt_if_pending_too_long(
    state: State, client_order_id: str, context: ExecutorContext
) -> State:
    """Halt once for an order that has been unknown, or asked to end, for `unknown_seconds`."""
    order = state.orders[client_order_id]
    since = order.unknown_at or order.cancel_since
    if since is None or order.alarmed or not order.live:
        return state
    seconds = (context.at - since).total_seconds()
    if seconds < context.settings.unknown_seconds:
        return state
    what = "unknown" if order.unknown_at else "asked to end"
    state = with_order(state, replace(order, alarmed=True))
    return with_halt(
        state, f"{client_order_id} ({order.symbol}) has been {what} for {seconds:.0f} s"
    )


HANDLERS = handler_table(
    on(m.SessionOpened, on_session_opened),
    on(m.OrderApproved, on_order_approved),
    on(m.ScanDecided, on_scan_decided),
    on(m.ReconcileDue, on_reconcile_due),
    on(m.ReconcileRequested, on_reconcile_requested),
    on(m.AdoptRequested, on_adopt_requested),
    on(m.ReleaseRequested, on_release_requested),
    on(m.DriftAcknowledged, on_drift_acknowledged),
    on(m.CorporateActionsSeen, on_corporate_actions_seen),
    on(o.StopPassed, on_stop_passed),
    on(o.ScaleDoubtful, on_scale_doubtful),
    on(o.ReconcileFailed, on_reconcile_failed),
    on(o.OrderObserved, on_order_observed),
    on(o.SubmitRefused, on_submit_refused),
    on(o.SubmitDelayed, on_submit_delayed),
    on(o.SubmitUnknown, on_submit_unknown),
    on(o.OrderNotFound, on_order_not_found),
    on(o.LookupFailed, on_lookup_failed),
    on(o.ApprovalRepeated, on_approval_repeated),
    on(o.HaltLatched, on_halt_latched),
    on(o.BrokerSnapshot, on_broker_snapshot),
)
