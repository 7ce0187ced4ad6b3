"""Twelve bugs that somebody might write, planted into the product for one run each.

The simulation must find every one of them, or it is not good enough.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any
from unittest import mock

from msgspec.structs import replace

from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.protocol import SubmitResult
from services.executor.orders import next_action, post_result, submission
from services.executor.orders.journal import OrderJournal
from services.executor.orders.submission import OrderSender
from services.scheduler import __main__ as scheduler_main, handlers as scheduler
from services.scheduler.state import OccasionReached
from shared.domain.risk import book as books
from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.schemas.values import Purpose

Patch = contextlib.AbstractContextManager[Any]


def _send_again_when_unclear() -> Patch:
    """A POST without an answer is simply sent once more."""
    submit = AlpacaBroker.submit

    def twice(self: AlpacaBroker, request: Any, **how: Any) -> Any:
        answer = submit(self, request, **how)
        if answer.result is SubmitResult.UNKNOWN:
            return submit(self, request, **how)
        return answer

    return mock.patch.object(AlpacaBroker, "submit", twice)


@contextlib.contextmanager
def _no_journal() -> Iterator[None]:
    """Nothing is written down before it is sent."""
    with (
        mock.patch.object(OrderJournal, "claim", return_value=True),
        mock.patch.object(OrderJournal, "row", return_value=None),
    ):
        yield


def _acknowledge_first() -> Patch:
    """Messages are acknowledged when they are read, not when they are handled."""
    read = MemoryBus.read

    def read_and_forget(self: Any, **how: Any) -> Any:
        entries = read(self, **how)
        for entry in entries:
            groups = self._server.stream(entry.stream.key).groups
            groups[self._service.value].pending.pop(entry.entry_id, None)
        return entries

    return mock.patch.object(MemoryBus, "read", read_and_forget)


def _forgotten_latch() -> Patch:
    """The kill latch is not looked at."""
    return mock.patch.object(MemoryLatch, "reasons", return_value=())


def _request_changed(change: Callable[[Any, Any], Any]) -> Patch:
    request_of = post_result.request_of

    def changed(order: Any, *rest: Any, **more: Any) -> Any:
        return change(order, request_of(order, *rest, **more))

    return mock.patch.object(submission, "request_of", changed)


def _float_money() -> Patch:
    """A limit goes through a float and comes out a cent dearer."""

    def dearer(order: Any, request: Any) -> Any:
        if order.purpose is not Purpose.ENTRY or request.limit_price is None:
            return request
        return replace(request, limit_price=Decimal(str(float(request.limit_price) + 0.01)))

    return _request_changed(lambda order, request: dearer(order, request))


def _one_share_too_many() -> Patch:
    """An off-by-one in the quantity of entries."""

    def more(order: Any, request: Any) -> Any:
        return replace(request, qty=request.qty + 1) if order.purpose is Purpose.ENTRY else request

    return _request_changed(lambda order, request: more(order, request))


def _protect_the_other_way() -> Patch:
    """A stop for fewer shares than were bought."""

    def fewer(order: Any, request: Any) -> Any:
        is_large = order.purpose is Purpose.PROTECT and request.qty > 1
        return replace(request, qty=request.qty - 1) if is_large else request

    return _request_changed(lambda order, request: fewer(order, request))


def _no_protection() -> Patch:
    """Protections are planned and never sent."""
    plan = next_action.next_action

    def without(state: Any, moment: Any) -> Any:
        action = plan(state, moment)
        order = getattr(action, "order", None)
        is_new = isinstance(action, next_action.SendOrder)
        return None if is_new and order and order.purpose is Purpose.PROTECT else action

    return mock.patch.object(next_action, "next_action", without)


def _fills_counted_twice() -> Patch:
    """The gate books every fill twice."""
    move = books.move_position

    def twice(book: Any, symbol: str, **what: Any) -> Any:
        return move(move(book, symbol, **what), symbol, **what)

    return mock.patch.object(books, "move_position", twice)


def _reservations_kept() -> Patch:
    """A settled scan keeps its reservations."""
    return mock.patch.object(books, "settle_scan", side_effect=lambda book, *_, **__: book)


def _session_opened_again() -> Patch:
    """A session that was opened may be opened again after a restart."""
    begin = scheduler.on_occasion_reached

    def again(state: Any, outcome: Any, context: Any) -> Any:
        state, messages = begin(state, outcome, context)
        return state, (*messages, *messages)

    rows = dict(scheduler.HANDLERS)
    rows[OccasionReached] = again
    return mock.patch.object(scheduler_main, "HANDLERS", rows)


def _expiry_forgotten() -> Patch:
    """An approval is obeyed however old it is."""
    look = OrderSender.send

    def late(self: Any, state: Any, order: Any) -> Any:
        return look(self, state, replace(order, expires_at=None))

    return mock.patch.object(OrderSender, "send", late)


BUGS: dict[str, Callable[[], Patch]] = {
    "send again when unclear": _send_again_when_unclear,
    "no journal": _no_journal,
    "acknowledge first": _acknowledge_first,
    "forgotten latch": _forgotten_latch,
    "float money": _float_money,
    "one share too many": _one_share_too_many,
    "protection for too few": _protect_the_other_way,
    "no protection": _no_protection,
    "fills counted twice": _fills_counted_twice,
    "reservations kept": _reservations_kept,
    "session opened again": _session_opened_again,
    "expiry forgotten": _expiry_forgotten,
}
