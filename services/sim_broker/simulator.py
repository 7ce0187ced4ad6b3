"""The exchange with its journal, subscribers and faults; what the HTTP routes call.

Every change is journaled before it is answered, then published. One thread (the server's event
loop) and no waiting inside, so steps never interleave.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from msgspec.structs import replace

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderRefusal,
    OrderSubmission,
    OrderUpdate,
)
from services.sim_broker.fault_injection import Faults
from services.sim_broker.journal import EventJournal
from shared.schemas.values import Quote, Stage

Subscriber = Callable[[OrderUpdate], None]


class Simulator:
    def __init__(
        self,
        exchange: Exchange,
        *,
        journal: EventJournal | None = None,
        faults: Faults | None = None,
    ) -> None:
        self.exchange, self.faults = exchange, faults or Faults()
        self._journal = journal
        self._subscribers: list[Subscriber] = []
        if journal:
            for changes in journal.read():
                exchange.book.restore(changes)
            journal.rewrite(exchange.book.everything())

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    # --- changing ---------------------------------------------------------------------------------

    def submit(self, request: OrderSubmission) -> BrokerOrder | OrderRefusal:
        result = self.exchange.submit(request, at_most=self.faults.fill_limit(request.symbol or ""))
        self._publish()
        return result

    def cancel(self, order_id: str) -> OrderRefusal | None:
        refusal = self.exchange.cancel(order_id)
        self._publish()
        return refusal

    def advance(
        self, session: dt.date, stage: Stage, at: dt.datetime | None
    ) -> OrderRefusal | None:
        refusal = self.exchange.advance(session, stage, at)
        self._publish()
        return refusal

    def suspend(self, suspended: bool) -> None:
        book = self.exchange.book
        book.account = replace(book.account, suspended=suspended)
        self._publish()

    def reset(self, number: str | None) -> None:
        """Start a new account; without a number, the one after the present account's."""
        self.exchange.reset(number or _next_number(self.exchange.book.account.number))
        if self._journal:
            self._journal.rewrite(self.exchange.book.everything())

    def _publish(self) -> None:
        changes = self.exchange.book.drain_changes()
        if self._journal and changes:
            self._journal.append(changes)
        for update in self.exchange.book.drain_updates():
            if not self.faults.drops_update():
                for subscriber in self._subscribers:
                    subscriber(update)

    # --- reading, subject to faults ---------------------------------------------------------------

    def order(self, order_id: str) -> BrokerOrder | None:
        return self._visible(self.exchange.book.orders.get(order_id))

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        return self._visible(self.exchange.book.order_by_client_id(client_order_id))

    def _visible(self, order: BrokerOrder | None) -> BrokerOrder | None:
        return None if order and self.faults.hides_order(order.client_order_id) else order

    def quote(self, symbol: str) -> Quote | None:
        quote = self.exchange.quote(symbol)
        return None if quote and self.faults.hides_quote(symbol) else quote


def _next_number(number: str) -> str:
    letters = number.rstrip("0123456789")
    digits = number[len(letters) :]
    return f"{letters}{int(digits or 0) + 1:0{len(digits) or 1}d}"
