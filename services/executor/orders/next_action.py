"""What the state asks to be done, the most urgent first. Pure: same state and instant, same action.

Called by the executor's work, which carries it out. Safety comes before trade: halts, cancels,
look-ups, protections, then reconciliation, then new orders in the order the gate approved them.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.executor.orders import protection as protect
from services.executor.orders.state import ReconcileRequest, State, protection_of
from shared.domain.trading.orders import Order
from shared.schemas.values import Purpose

IDLE_SECONDS = 0.5  # the broker's stream may name an order at any time
CANCEL_AGAIN, LONGEST_CANCEL = 2.0, 60.0
"""Seconds until an order's end is asked for again, doubled each time: brokers need a moment."""
LINGER_SECONDS = 2.0
"""An immediate order ends at once; one that is still open after this is asked to end."""


@dataclass(frozen=True, slots=True)
class LatchHalt:
    why: str


@dataclass(frozen=True, slots=True)
class CancelOrder:
    order: Order


@dataclass(frozen=True, slots=True)
class LookUpOrder:
    order: Order


@dataclass(frozen=True, slots=True)
class SendOrder:
    order: Order


@dataclass(frozen=True, slots=True)
class Reconcile:
    request: ReconcileRequest | None


@dataclass(frozen=True, slots=True)
class LogRepeat:
    decision_id: str


@dataclass(frozen=True, slots=True)
class Flatten:
    """Sell every position of ours: a kill, and the policy says so."""


PendingAction = Flatten | LatchHalt | CancelOrder | LookUpOrder | SendOrder | Reconcile | LogRepeat


@dataclass(frozen=True, slots=True)
class ActionMoment:
    """What actions depend on besides the state.

    The instant, the kill and whether it sells positions, whether broker and books have been
    compared since the start, and what the broker's stream has named since it was last looked at.
    """

    at: dt.datetime
    halted: bool = False
    reconciled: bool = True
    flattens: bool = False
    touched: frozenset[str] = frozenset()


def next_action(state: State, moment: ActionMoment) -> PendingAction | None:
    for source in _SOURCES:
        action = next(source(state, moment), None)
        if action is not None:
            return action
    return None


def seconds_until(state: State, moment: ActionMoment) -> float:
    """How long nothing needs doing, at most IDLE_SECONDS."""
    if next_action(state, moment) is not None:
        return 0.0
    instants = [order.look_at or order.not_before for order in state.orders.values() if order.live]
    instants += [state.flatten.look_at] if state.flatten else []
    instants += [drift.due_at for drift in state.drifts.values()]
    ahead = [
        (instant - moment.at).total_seconds()
        for instant in instants
        if instant and instant > moment.at
    ]
    return min([IDLE_SECONDS, *ahead])


def _halts(state: State, _: ActionMoment) -> Iterator[PendingAction]:
    yield from map(LatchHalt, state.halts[:1])


def _flattening(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    """Where the policy says so, a kill sells what is held, and asks the broker whether it is."""
    if (
        moment.halted
        and moment.flattens
        and any(not held.exit_reason for held in state.positions.values())
    ):
        yield Flatten()
    if state.flatten and state.flatten.look_at <= moment.at:
        yield Reconcile(None)


def _resting_entries(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    """A kill takes back what could still open something."""
    if moment.halted:
        for order in state.orders.values():
            if order.purpose is Purpose.ENTRY and order.rests and _may_cancel(order, moment):
                yield CancelOrder(order)


def _lingering(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    """Immediate orders that do not end by themselves leave what they filled without a stop."""
    for order in state.orders.values():
        if (
            order.purpose is not Purpose.PROTECT
            and order.rests
            and order.sent_at
            and (moment.at - order.sent_at).total_seconds() >= LINGER_SECONDS
            and _may_cancel(order, moment)
        ):
            yield CancelOrder(order)


def _due_looks(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    for order in state.orders.values():
        if (
            order.live
            and order.was_sent
            and order.look_at is not None
            and order.look_at <= moment.at
        ):
            yield LookUpOrder(order)


def _stale_protections(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    for order in state.orders.values():
        if protect.is_stale(state, order) and _may_cancel(order, moment):
            yield CancelOrder(order)


def _protections(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    for order in _waiting(state, moment, lambda order: order.purpose is Purpose.PROTECT):
        if not protect.is_leaving(state, order.symbol, moment.at):
            yield SendOrder(order)


def _reconciles(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    """What was asked for, and the second look at what differed; after no answer only later."""
    if state.retry_at and moment.at < state.retry_at:
        return
    yield from map(Reconcile, state.reconciles[:1])
    due = [drift.due_at for drift in state.drifts.values()]
    due += [stray.due_at for stray in state.strays.values() if not stray.alarmed]
    if due and min(due) <= moment.at:
        yield Reconcile(None)


def _stream_looks(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    for order in state.orders.values():
        if order.rests and is_named(order, moment.touched):
            yield LookUpOrder(order)


def is_named(order: Order, touched: frozenset[str]) -> bool:
    """The stream names our orders by their id, others' only by symbol."""
    return order.symbol in touched or order.client_order_id in touched


def _repeats(state: State, _: ActionMoment) -> Iterator[PendingAction]:
    yield from map(LogRepeat, state.repeats[:1])


def _approvals(state: State, moment: ActionMoment) -> Iterator[PendingAction]:
    for order in _waiting(state, moment, lambda order: order.purpose is not Purpose.PROTECT):
        if order.purpose is Purpose.ENTRY and not moment.reconciled:
            continue
        resting = protection_of(state, order.symbol) if order.purpose is not Purpose.ENTRY else None
        if (
            resting is None
            or resting.waits
            or _is_expired(order, moment)
            or (resting.rests and _may_cancel(resting, moment))
        ):
            yield SendOrder(order)


def _waiting(
    state: State, moment: ActionMoment, matches: Callable[[Order], bool]
) -> Iterable[Order]:
    due = [
        order
        for order in state.orders.values()
        if order.waits
        and matches(order)
        and (order.not_before is None or order.not_before <= moment.at)
    ]
    return sorted(due, key=lambda order: (order.number, order.counter))


def _may_cancel(order: Order, moment: ActionMoment) -> bool:
    last = order.cancel_at
    pause = min(LONGEST_CANCEL, CANCEL_AGAIN * 2.0 ** min(max(0, order.cancels - 1), 10))
    return last is None or (moment.at - last).total_seconds() >= pause


def _is_expired(order: Order, moment: ActionMoment) -> bool:
    return order.expires_at is not None and order.expires_at <= moment.at


_SOURCES: tuple[Callable[[State, ActionMoment], Iterator[PendingAction]], ...] = (
    _halts,
    _flattening,
    _resting_entries,
    _lingering,
    _due_looks,
    _stale_protections,
    _protections,
    _reconciles,
    _stream_looks,
    _repeats,
    _approvals,
)
