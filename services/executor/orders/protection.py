"""Every open position has a stop resting at the broker: what must be sent, and what must go. Pure.

Called at the end of every handler that may have changed a position or an order. Its authority is
the entry's signed approval: ids derive from it, the quantity is never more than what is held. What
was refused is never sent again as it was: a stop and target becomes a stop, a stop becomes the
market order it stands for.
"""

import datetime as dt
from decimal import Decimal

from msgspec.structs import replace

from services.executor.orders.state import (
    State,
    exit_of,
    live_orders,
    protection_of,
    with_halt,
    with_order,
    with_position,
)
from shared.domain.trading import ids
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order, ProtectionForm
from shared.domain.trading.protection import covers, is_living_stop
from shared.schemas.values import OrderStatus, Protection, Purpose, Side

GRACE_SECONDS = 3.0
"""How long an immediate order may stay open before what it leaves bare is protected beside it."""
SETBACKS = 3
"""Protections lost in a row before the position is sold, and the operator told."""
STANDING = dt.timedelta(hours=12)
"""A protection that stood for a session has stood: what ends it later begins a new count."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds before the second protection in a row, doubled each time."""
ABSENT, REFUSED = "the broker holds too few", "the broker refuses to sell"
NEXT_FORM = {
    ProtectionForm.STOP_AND_TARGET: ProtectionForm.STOP,
    ProtectionForm.STOP: ProtectionForm.MARKET,
    ProtectionForm.MARKET: ProtectionForm.MARKET,
}


def request_protection(state: State, symbol: str, *, at: dt.datetime) -> State:
    """Record the protection a symbol lacks; none while an entry fills or an exit is under way."""
    position = state.positions.get(symbol)
    if position is None or position.protection is None or position.blocked:
        return state
    if _is_busy(state, position, at):
        return state
    waiting = protection_of(state, symbol)
    if waiting is None:
        return _new_protection(state, position, position.protection, at=at)
    if waiting.waits:
        wanted = replace(
            waiting,
            qty=abs(position.qty),
            form=_form(position, position.protection),
            protection=position.protection,
        )
        return state if wanted == waiting else with_order(state, wanted)
    return state


def _is_busy(state: State, position: HeldLots, at: dt.datetime) -> bool:
    """An entry that still fills, or an exit that has the shares; neither for longer than it may."""
    entries = live_orders(state, position.symbol, (Purpose.ENTRY,))
    if any(not _is_late(order, at) for order in entries):
        return True
    return is_leaving(state, position.symbol, at)


def is_leaving(state: State, symbol: str, at: dt.datetime) -> bool:
    """Whether an exit has the shares; one that nobody has found for a while has them not."""
    leaving = exit_of(state, symbol)
    return leaving is not None and not (
        leaving.status is OrderStatus.UNKNOWN and _is_late(leaving, at)
    )


def _is_late(order: Order, at: dt.datetime) -> bool:
    return order.sent_at is not None and (at - order.sent_at).total_seconds() >= GRACE_SECONDS


def is_stale(state: State, order: Order) -> bool:
    """A resting protection that no longer fits what is held, or whose stop is dead."""
    if order.purpose is not Purpose.PROTECT or not order.rests:
        return False
    position = state.positions.get(order.symbol)
    if position is None:
        return True
    if order.form is ProtectionForm.MARKET:
        return order.remaining > abs(position.qty)
    return bool(position.exit_reason) or not (
        covers(order, position) or _is_partial(state, order, position)
    )


def _is_partial(state: State, order: Order, position: HeldLots) -> bool:
    """While broker and books differ, a living stop for fewer shares is all that can be had."""
    differs = order.symbol in state.drifts or order.symbol in state.disputes
    return differs and is_living_stop(order, position) and 0 < order.remaining < abs(position.qty)


def _form(position: HeldLots, plan: Protection) -> ProtectionForm:
    fullest = ProtectionForm.STOP if plan.target is None else ProtectionForm.STOP_AND_TARGET
    form = ProtectionForm.MARKET if position.exit_reason else position.form or fullest
    return ProtectionForm.STOP if form is ProtectionForm.STOP_AND_TARGET is not fullest else form


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
        form=_form(position, plan),
        correlation_id=position.correlation_id,
        parent=position.parent,
        counter=counter,
        not_before=_not_before(position),
    )
    state = with_position(state, position.symbol, replace(position, protections=counter))
    return with_order(state, order)


def _not_before(position: HeldLots) -> dt.datetime | None:
    """At once after the first setback, then after a pause that only grows."""
    if position.setbacks < 2 or position.setback_at is None:
        return None
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (position.setbacks - 2))
    return position.setback_at + dt.timedelta(seconds=pause)


# --- setbacks -------------------------------------------------------------------------------------


def note_refusal(state: State, order: Order, *, passes: bool, at: dt.datetime) -> State:
    """The broker refused a protection; `passes`: the same may be taken later.

    Otherwise the next one is another: at last the market order, and if that is refused, nothing
    until something changes.
    """
    held = state.positions.get(order.symbol)
    if held is None:
        return state
    held = _count_setback(held, at)
    last = order.form is ProtectionForm.MARKET
    if not passes:
        held = replace(
            held,
            form=NEXT_FORM[order.form or ProtectionForm.STOP],
            blocked=REFUSED if last else "",
        )
    state = with_position(state, order.symbol, held)
    if held.setbacks == SETBACKS or (last and not passes):
        state = with_halt(
            state, f"{order.symbol} can be neither protected nor sold: the broker refuses"
        )
    return state


def note_ending(state: State, order: Order, *, at: dt.datetime) -> State:
    """The broker ended a protection, or its stop, unasked; after the third the shares are sold."""
    held = state.positions.get(order.symbol)
    if held is None or (order.cancel_at is not None and not order.stop_died):
        return state
    held = _count_setback(held, at)
    if held.setbacks > 1:
        sell = held.setbacks >= SETBACKS
        held = replace(held, form=ProtectionForm.MARKET if sell else ProtectionForm.STOP)
    state = with_position(state, order.symbol, held)
    if held.setbacks == SETBACKS:
        state = with_halt(
            state, f"the broker has ended {SETBACKS} protections of {order.symbol}: it is sold"
        )
    return state


def _count_setback(held: HeldLots, at: dt.datetime) -> HeldLots:
    stood = held.setback_at is not None and at - held.setback_at >= STANDING
    return replace(held, setbacks=1 if stood else held.setbacks + 1, setback_at=at)


def note_absence(state: State, order: Order, *, at: dt.datetime) -> State:
    """The broker does not hold what was to be protected: wait until that is judged."""
    held = state.positions.get(order.symbol)
    if held is None:
        return state
    held = replace(_count_setback(held, at), blocked=ABSENT)
    return with_position(state, order.symbol, held)


def note_passed(state: State, order: Order, price: Decimal) -> State:
    """The market has gone through the stop: what it stands for is done now."""
    held = state.positions.get(order.symbol)
    if held is None or held.protection is None:
        return state
    why = f"the market at {price} has passed the stop at {held.protection.stop}"
    return with_position(state, order.symbol, replace(held, exit_reason=why, price=price))


def unblock(state: State, reason: str = "") -> State:
    """Try again what was blocked for `reason`, "" for any: something may have changed."""
    positions = {
        symbol: replace(held, blocked="") if held.blocked and reason in ("", held.blocked) else held
        for symbol, held in state.positions.items()
    }
    return replace(state, positions=positions)
