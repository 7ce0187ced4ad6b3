"""What the executor makes of each outcome of its work.

Their table is part of `handlers.py`'s. Pure.

An outcome that cannot be handled halts, and everything else goes on: dying would only meet the
same outcome again.
"""

from typing import TypeVar

from msgspec.structs import replace

from services.executor.orders import (
    apply_update as updates,
    flatten,
    outcomes as o,
    protection as protect,
)
from services.executor.orders.messages import unknown_message
from services.executor.orders.post_result import may_be_resent
from services.executor.orders.reconciliation import (
    on_broker_snapshot,
    on_reconcile_failed,
    with_reconcile,
)
from services.executor.orders.scans import conclude
from services.executor.orders.state import (
    ExecutorContext,
    ExecutorSettings,
    State,
    with_halt,
    with_order,
)
from shared.domain.errors import InvalidMessage
from shared.domain.trading import orders
from shared.domain.trading.orders import Order
from shared.runtime.runner.contract import AnyHandler, Decision, Handler, on
from shared.schemas.values import Ending, OrderStatus, Purpose

T = TypeVar("T")
Row = tuple[type, AnyHandler[State, ExecutorSettings]]


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
    return conclude(state, messages, (order.symbol,), at=context.at)


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
    return conclude(state, messages, (order.symbol,), at=context.at)


def on_stop_passed(
    state: State, outcome: o.StopPassed, context: ExecutorContext
) -> Decision[State]:
    order = state.orders[outcome.client_order_id]
    state = protect.note_passed(state, order, outcome.price)
    return conclude(state, (), (order.symbol,), at=context.at)


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
    return with_reconcile(state, state.session or context.trigger.session, context)


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
    return state, (unknown_message(state, order, outcome.detail),)


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
        return conclude(state, messages, (order.symbol,), at=context.at)
    state = _halt_if_pending_too_long(state, order.client_order_id, context)
    messages = (
        ()
        if before.was_sent
        else (unknown_message(state, order, "journaled, not found at the broker"),)
    )
    return conclude(state, messages, (order.symbol,), at=context.at)


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
    return conclude(with_order(state, ended), (), (), at=context.at)


def on_books_restored(
    state: State, outcome: o.BooksRestored, context: ExecutorContext
) -> Decision[State]:
    """Go on from the journal's copy; whatever was sent is looked up at the broker."""
    restored = {
        name: orders.look_now(order, at=context.at) if order.live and order.was_sent else order
        for name, order in outcome.state.orders.items()
    }
    books = replace(outcome.state, orders={**state.orders, **restored})
    why = (
        f"redis_regressed: Redis had revision {state.revision} of the executor's books, its "
        f"journal {books.revision}; they were restored from the journal: compare, then resume"
    )
    return with_halt(books, why), ()


def on_flatten_begun(state: State, _: o.FlattenBegun, context: ExecutorContext) -> Decision[State]:
    state = flatten.begin(state, at=context.at)
    return conclude(state, (), sorted(state.positions), at=context.at)


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


# --- what cannot be handled -----------------------------------------------------------------------


def on_action_failed(
    state: State, outcome: o.ActionFailed, context: ExecutorContext
) -> Decision[State]:
    return _contain(state, outcome, outcome.error, context), ()


def _containing(kind: type[T], handler: Handler[State, T, ExecutorSettings]) -> Row:
    """A row of the table whose failures halt instead of ending the process."""

    def handle(state: State, outcome: T, context: ExecutorContext, /) -> Decision[State]:
        try:
            return handler(state, outcome, context)
        except InvalidMessage:
            raise
        except Exception as error:  # noqa: BLE001  halts and goes on
            return _contain(state, outcome, repr(error), context), ()

    return on(kind, handle)


def _contain(state: State, outcome: object, error: str, context: ExecutorContext) -> State:
    """Halt, and put off what would bring the same again."""
    state = with_halt(state, f"{type(outcome).__name__} could not be handled: {error}"[:500])
    if isinstance(outcome, o.BrokerSnapshot):
        requests = tuple(each for each in state.reconciles if each != outcome.request)
        failed = o.ReconcileFailed(detail=error)
        return on_reconcile_failed(replace(state, reconciles=requests), failed, context)[0]
    order = state.orders.get(_name_in(outcome))
    if order is None or not order.live:
        return replace(state, repeats=state.repeats[1:])
    if getattr(outcome, "canceling", False):
        order = orders.mark_canceling(order, at=context.at)
    return updates.put_off(state, order, at=context.at)


def _name_in(outcome: object) -> str:
    if isinstance(outcome, o.OrderObserved):
        return outcome.view.client_order_id
    return str(getattr(outcome, "client_order_id", ""))


OUTCOMES: tuple[Row, ...] = (
    _containing(o.OrderObserved, on_order_observed),
    _containing(o.SubmitRefused, on_submit_refused),
    _containing(o.SubmitDelayed, on_submit_delayed),
    _containing(o.SubmitUnknown, on_submit_unknown),
    _containing(o.OrderNotFound, on_order_not_found),
    _containing(o.LookupFailed, on_lookup_failed),
    _containing(o.StopPassed, on_stop_passed),
    _containing(o.ScaleDoubtful, on_scale_doubtful),
    _containing(o.ApprovalRepeated, on_approval_repeated),
    _containing(o.HaltLatched, on_halt_latched),
    _containing(o.FlattenBegun, on_flatten_begun),
    _containing(o.BooksRestored, on_books_restored),
    _containing(o.BrokerSnapshot, on_broker_snapshot),
    _containing(o.ReconcileFailed, on_reconcile_failed),
    _containing(o.ActionFailed, on_action_failed),
)
