"""The exchange with its memory and its listeners: every change is journaled before it is answered, then told.

What the HTTP routes call; one thread (the server's event loop) and no waiting inside, so steps
never interleave.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from msgspec.structs import replace

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import Order, OrderRequest, Refusal, Update
from services.sim_broker.fault_injection import Faults
from services.sim_broker.journal import Journal
from shared.schemas.values import Quote, Stage

Listener = Callable[[Update], None]


class Desk:
    def __init__(
        self, exchange: Exchange, *, journal: Journal | None = None, faults: Faults | None = None
    ) -> None:
        self.exchange, self.faults = exchange, faults or Faults()
        self._journal = journal
        self._listeners: list[Listener] = []
        if journal:
            for changes in journal.read():
                exchange.book.restore(changes)
            journal.start_over(exchange.book.everything())

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    # --- changing ---------------------------------------------------------------------------------

    def submit(self, request: OrderRequest) -> Order | Refusal:
        result = self.exchange.submit(request, at_most=self.faults.shares(request.symbol or ""))
        self._keep()
        return result

    def cancel(self, order_id: str) -> Refusal | None:
        refusal = self.exchange.cancel(order_id)
        self._keep()
        return refusal

    def advance(self, session: dt.date, stage: Stage, at: dt.datetime | None) -> Refusal | None:
        refusal = self.exchange.advance(session, stage, at)
        self._keep()
        return refusal

    def suspend(self, suspended: bool) -> None:
        book = self.exchange.book
        book.account = replace(book.account, suspended=suspended)
        self._keep()

    def reset(self, number: str | None) -> None:
        """A new account; without a name, the next number after the old one's."""
        self.exchange.reset(number or _following(self.exchange.book.account.number))
        if self._journal:
            self._journal.start_over(self.exchange.book.everything())

    def _keep(self) -> None:
        changes = self.exchange.book.take_changes()
        if self._journal and changes:
            self._journal.append(changes)
        for update in self.exchange.book.take_updates():
            if not self.faults.muted():
                for listener in self._listeners:
                    listener(update)

    # --- asking, as far as faults may answer ------------------------------------------------------

    def order(self, order_id: str) -> Order | None:
        return self._shown(self.exchange.book.orders.get(order_id))

    def by_client_id(self, client_order_id: str) -> Order | None:
        return self._shown(self.exchange.book.by_client_id(client_order_id))

    def _shown(self, order: Order | None) -> Order | None:
        return None if order and self.faults.hidden(order.client_order_id) else order

    def quote(self, symbol: str) -> Quote | None:
        quote = self.exchange.quote(symbol)
        return None if quote and self.faults.unquoted(symbol) else quote


def _following(number: str) -> str:
    letters = number.rstrip("0123456789")
    digits = number[len(letters) :]
    return f"{letters}{int(digits or 0) + 1:0{len(digits) or 1}d}"
