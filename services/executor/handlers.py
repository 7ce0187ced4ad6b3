"""What the executor makes of each message and each outcome of its work; the table is at the foot.

Pure. It may do less than the gate approved, never more: no order is made that no approval signed.
"""

from msgspec.structs import replace

from services.executor.orders import adjustments, corporate_actions, protection as protect
from services.executor.orders.judgement import actions_from
from services.executor.orders.reconciliation import with_reconcile
from services.executor.orders.scans import conclude
from services.executor.orders.state import (
    ExecutorContext,
    ExecutorSettings,
    OpenScan,
    State,
    with_halt,
    with_order,
)
from services.executor.outcome_handlers import OUTCOMES, Row
from shared.domain.errors import InvalidMessage
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import Order
from shared.runtime.runner.contract import Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.envelope import Envelope
from shared.schemas.values import Purpose, Stage

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
    """Splits, renames and removals known before the open; the broker is asked for its own too."""
    found = actions_from(
        CorporateActions(splits=message.splits, renames=message.renames, removals=message.removals)
    )
    before = state.actions
    state = corporate_actions.remember(state, found, message.session)
    if not state.positions or (context.settings.stepped and state.actions is before):
        return state, ()
    state = corporate_actions.move_stops(state, message.session)
    return with_reconcile(state, message.session, context, stage=Stage.START), ()


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
    return conclude(replace(state, scans={**state.scans, key: scan}), (), (), at=context.at)


def on_reconcile_due(
    state: State, message: m.ReconcileDue, context: ExecutorContext
) -> Decision[State]:
    """A stage has passed: what the broker refused may be taken now."""
    state = protect.unblock(replace(state, stage=message.stage), protect.REFUSED)
    return with_reconcile(state, message.session, context), ()


def on_reconcile_requested(
    state: State, _: m.ReconcileRequested, context: ExecutorContext
) -> Decision[State]:
    state = replace(protect.unblock(state), retry_at=None)
    return with_reconcile(state, state.session or context.trigger.session, context), ()


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
    state = with_reconcile(protect.unblock(state), session, context)
    correlation = context.trigger.correlation_id
    addressed = [Outgoing(message, session, correlation) for message in messages]
    return conclude(state, addressed, (symbol,), at=context.at)


def _revising(row: Row) -> Row:
    """Count every change of the state."""
    kind, handler = row

    def handle(state: State, message: object, context: ExecutorContext, /) -> Decision[State]:
        after, messages = handler(state, message, context)
        if after is not state:
            after = replace(after, revision=after.revision + 1)
        return after, messages

    return kind, handle


_ROWS: tuple[Row, ...] = (
    on(m.SessionOpened, on_session_opened),
    on(m.OrderApproved, on_order_approved),
    on(m.ScanDecided, on_scan_decided),
    on(m.ReconcileDue, on_reconcile_due),
    on(m.ReconcileRequested, on_reconcile_requested),
    on(m.AdoptRequested, on_adopt_requested),
    on(m.ReleaseRequested, on_release_requested),
    on(m.DriftAcknowledged, on_drift_acknowledged),
    on(m.CorporateActionsSeen, on_corporate_actions_seen),
    *OUTCOMES,
)

HANDLERS = handler_table(*map(_revising, _ROWS))
