"""The exchange with its journal, subscribers and faults; what the HTTP routes call.

Every change is journaled before it is answered, then published. One thread (the server's event
loop) and no waiting inside, so steps never interleave.
"""

import datetime as dt
import math
from collections.abc import Callable

from msgspec.structs import replace

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderRefusal,
    OrderSubmission,
    OrderUpdate,
)
from services.sim_broker.exchange.order_validation import UNPROCESSABLE
from services.sim_broker.exchange.world_events import WorldEvent
from services.sim_broker.fault_injection import kinds
from services.sim_broker.fault_injection.plan import FaultPlan
from services.sim_broker.journal import EventJournal
from shared.runtime.clock import Clock, SystemClock
from shared.schemas.values import Quote, Stage

Subscriber = Callable[[OrderUpdate], None]
NO_RELAY = OrderRefusal(
    422, UNPROCESSABLE, "slow_connect needs the broker's own process with its relay in front"
)


class Simulator:
    def __init__(
        self,
        exchange: Exchange,
        *,
        journal: EventJournal | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.exchange, self.faults = exchange, FaultPlan()
        exchange.faults = self.faults
        self._journal, self._clock = journal, clock or SystemClock()
        self._accepted_at: dict[str, float] = {}
        self.slow_connects: Callable[[float], None] | None = None
        self._subscribers: list[Subscriber] = []
        if journal:
            for changes in journal.read():
                exchange.book.restore(changes)
            journal.rewrite(exchange.book.everything())

    def subscribe(self, subscriber: Subscriber) -> None:
        self._subscribers.append(subscriber)

    # --- changing ---------------------------------------------------------------------------------

    def submit(self, request: OrderSubmission) -> BrokerOrder | OrderRefusal:
        result = self.exchange.submit(request)
        if isinstance(result, BrokerOrder):
            self._accepted_at[result.client_order_id] = self._clock.monotonic()
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

    def schedule(self, fault: kinds.FaultKind | WorldEvent) -> OrderRefusal | None:
        """Schedule a fault, or an event of the world; one without a session happens at once."""
        if isinstance(fault, kinds.SlowConnect):
            if self.slow_connects is None:
                return NO_RELAY
            self.slow_connects(fault.seconds)
            return None
        if isinstance(fault, kinds.FaultKind):
            self.faults.add(fault)
            return None
        refusal = self.exchange.happen(fault)
        self._publish()
        return refusal

    def scheduled_faults(self) -> dict[str, kinds.FaultKind | WorldEvent]:
        """By the id with which each can be cleared: f… is a fault, e… an event."""
        faults = {f"f{number}": fault for number, fault in self.faults.scheduled.items()}
        return {**faults, **self.exchange.scheduled_events()}

    def clear_fault(self, name: str) -> bool:
        """Clear one fault or event; False if none has that id."""
        number = name[1:]
        if name.startswith("f") and number.isdigit() and self.faults.clear(int(number)):
            return True
        found = self.exchange.call_off(name)
        self._publish()
        return found

    def clear_faults(self) -> None:
        self.faults.clear()
        for name in self.exchange.scheduled_events():
            self.exchange.call_off(name)
        self._publish()

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
        if order is None:
            return None
        name = order.client_order_id
        return None if self.faults.hides_order(name, age_seconds=self._age(name)) else order

    def is_listed(self, order: BrokerOrder) -> bool:
        """Whether lists of orders show it."""
        name = order.client_order_id
        return not self.faults.is_hidden(name, age_seconds=self._age(name))

    def _age(self, client_order_id: str) -> float:
        """Seconds since the order came; those of an earlier process are old."""
        accepted_at = self._accepted_at.get(client_order_id)
        return math.inf if accepted_at is None else self._clock.monotonic() - accepted_at

    def quote(self, symbol: str) -> Quote | None:
        quote = self.exchange.quote(symbol)
        if quote is None or self.faults.hides_quote(symbol):
            return None
        bad = self.faults.next_of(kinds.BadQuote, lambda each: each.symbol == symbol)
        return _worsen(quote, bad) if bad else quote

    def clock_skew(self) -> dt.timedelta:
        skew = self.faults.next_of(kinds.ClockSkew)
        return dt.timedelta(seconds=skew.seconds if skew else 0.0)


def _worsen(quote: Quote, bad: kinds.BadQuote) -> Quote:
    return Quote(
        symbol=quote.symbol,
        bid=quote.bid if bad.bid is None else bad.bid,
        ask=quote.ask if bad.ask is None else bad.ask,
        at=quote.at - dt.timedelta(seconds=bad.age_seconds),
    )


def _next_number(number: str) -> str:
    letters = number.rstrip("0123456789")
    digits = number[len(letters) :]
    return f"{letters}{int(digits or 0) + 1:0{len(digits) or 1}d}"
