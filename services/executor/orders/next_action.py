"""What the state wishes for, the most urgent first. Pure: given the same state and instant, the same wish.

Called by the executor's work, which fulfils it. Safety comes before trade: halts, cancels,
look-ups, protections, then reconciliation, then new orders in the order the gate approved them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from services.executor.orders import protection as protect
from services.executor.orders.state import ReconcileWish, State, exit_of, protection_of
from shared.domain.trading.orders import Order
from shared.schemas.values import Purpose

IDLE_SECONDS = 0.5
CANCEL_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Halt:
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    order: Order


@dataclass(frozen=True, slots=True)
class Look:
    order: Order


@dataclass(frozen=True, slots=True)
class Send:
    order: Order


@dataclass(frozen=True, slots=True)
class Reconcile:
    asked: ReconcileWish | None


@dataclass(frozen=True, slots=True)
class Repeat:
    decision_id: str


Wish = Halt | Cancel | Look | Send | Reconcile | Repeat


@dataclass(frozen=True, slots=True)
class Moment:
    """What wishes depend on besides the state: the instant, the kill, and what the broker's stream has named."""

    at: dt.datetime
    halted: bool = False
    touched: frozenset[str] = frozenset()
    recheck_seconds: float = 30.0


def next_wish(state: State, moment: Moment) -> Wish | None:
    for source in _SOURCES:
        wish = next(source(state, moment), None)
        if wish is not None:
            return wish
    return None


def seconds_until(state: State, moment: Moment) -> float:
    """How long nothing needs doing, at most half a second: the broker's stream may speak at any time."""
    if next_wish(state, moment) is not None:
        return 0.0
    instants = [order.look_at or order.not_before for order in state.orders.values() if order.live]
    ahead = [
        (instant - moment.at).total_seconds()
        for instant in instants
        if instant and instant > moment.at
    ]
    return min([IDLE_SECONDS, *ahead])


def _halts(state: State, _: Moment) -> Iterator[Wish]:
    yield from map(Halt, state.halts[:1])


def _resting_entries(state: State, moment: Moment) -> Iterator[Wish]:
    """A kill takes back what could still open something."""
    if moment.halted:
        for order in state.orders.values():
            if order.purpose is Purpose.ENTRY and order.rests and _may_cancel(order, moment):
                yield Cancel(order)


def _looks(state: State, moment: Moment) -> Iterator[Wish]:
    for order in state.orders.values():
        if (
            order.live
            and order.was_sent
            and order.look_at is not None
            and order.look_at <= moment.at
        ):
            yield Look(order)


def _stale_protections(state: State, moment: Moment) -> Iterator[Wish]:
    for order in state.orders.values():
        if protect.stale(state, order) and _may_cancel(order, moment):
            yield Cancel(order)


def _protections(state: State, moment: Moment) -> Iterator[Wish]:
    for order in _waiting(state, moment, lambda order: order.purpose is Purpose.PROTECT):
        if not exit_of(state, order.symbol):
            yield Send(order)


def _reconciles(state: State, moment: Moment) -> Iterator[Wish]:
    yield from map(Reconcile, state.reconciles[:1])
    checked = state.checked_at if state.drifts else None
    if checked and (moment.at - checked).total_seconds() >= moment.recheck_seconds:
        yield Reconcile(None)


def _touched(state: State, moment: Moment) -> Iterator[Wish]:
    for order in state.orders.values():
        if order.rests and named(order, moment.touched):
            yield Look(order)


def named(order: Order, touched: frozenset[str]) -> bool:
    """The stream names our orders by their id, others' only by symbol."""
    return order.symbol in touched or order.client_order_id in touched


def _repeats(state: State, _: Moment) -> Iterator[Wish]:
    yield from map(Repeat, state.repeats[:1])


def _approvals(state: State, moment: Moment) -> Iterator[Wish]:
    for order in _waiting(state, moment, lambda order: order.purpose is not Purpose.PROTECT):
        resting = protection_of(state, order.symbol) if order.purpose is not Purpose.ENTRY else None
        if (
            resting is None
            or resting.waits
            or _expired(order, moment)
            or (resting.rests and _may_cancel(resting, moment))
        ):
            yield Send(order)


def _waiting(state: State, moment: Moment, wanted: Callable[[Order], bool]) -> Iterable[Order]:
    due = [
        order
        for order in state.orders.values()
        if order.waits
        and wanted(order)
        and (order.not_before is None or order.not_before <= moment.at)
    ]
    return sorted(due, key=lambda order: (order.number, order.counter))


def _may_cancel(order: Order, moment: Moment) -> bool:
    asked = order.cancel_at
    return asked is None or (moment.at - asked).total_seconds() >= CANCEL_AGAIN_SECONDS


def _expired(order: Order, moment: Moment) -> bool:
    return order.expires_at is not None and order.expires_at <= moment.at


_SOURCES: tuple[Callable[[State, Moment], Iterator[Wish]], ...] = (
    _halts,
    _resting_entries,
    _looks,
    _stale_protections,
    _protections,
    _reconciles,
    _touched,
    _repeats,
    _approvals,
)
