"""The simulated exchange: takes orders, moves through the stages of a session, fills by fills.py.

Driven by the HTTP face and by tests; knows no HTTP, no file and no wall clock. It shows and uses
only the price of the stage it stands in, so nobody who trades with it can look ahead.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange import (
    account_rules as permission,
    matching,
    position as holdings,
    session as day,
    settlement,
)
from services.sim_broker.exchange.account_book import Account, Book
from services.sim_broker.exchange.market_data import Bars
from services.sim_broker.exchange.market_hours import CLOSES, instant, stage_at
from services.sim_broker.exchange.order import (
    Order,
    OrderClass,
    OrderRequest,
    OrderType,
    Refusal,
    Ticket,
    TimeInForce,
    identity,
)
from services.sim_broker.exchange.order_validation import UNPROCESSABLE, ticket
from shared.domain.trading.fills import Costs
from shared.schemas.values import OrderStatus, Quote, Stage

CENT = Decimal("0.01")
GTC_DAYS = 90
CONFLICT = 40910000


class Exchange:
    """One account on one set of bars."""

    def __init__(
        self,
        bars: Bars,
        *,
        cash: Decimal,
        number: str = "SIM000001",
        costs: Costs | None = None,
        shorting: bool = False,
    ) -> None:
        self.bars, self.cash, self.shorting = bars, cash, shorting
        self._costs = costs or Costs()
        self.book = self._fresh(number)

    def reset(self, number: str) -> None:
        """Another account, before the first session; nothing of the old one stays."""
        self.book = self._fresh(number)

    def _fresh(self, number: str) -> Book:
        at = stage_at(self.bars.sessions()[0], Stage.START)
        return Book(
            Account(number=number, cash=self.cash, last_equity=self.cash, created_at=at, at=at)
        )

    # --- prices -----------------------------------------------------------------------------------

    def price(self, symbol: str) -> Decimal | None:
        """The one price the market shows now; None before the open and for a symbol that does not trade today."""
        account = self.book.account
        if account.session is None or account.stage is Stage.START:
            return None
        bar = self.bars.bar(symbol, account.session)
        if bar is None:
            return None
        return bar.open if account.stage in (Stage.OPEN, Stage.BAR) else bar.close

    def quote(self, symbol: str) -> Quote | None:
        price = self.price(symbol)
        if price is None:
            return None
        return Quote(symbol=symbol, bid=price - CENT, ask=price, at=self.book.account.at)

    # --- orders -----------------------------------------------------------------------------------

    def submit(self, request: OrderRequest, *, at_most: int | None = None) -> Order | Refusal:
        """The order as accepted; what it met at once is in the book. `at_most` caps what fills on arrival."""
        account = self.book.account
        wanted = ticket(
            request, self.bars.symbols(), identity(account.number, "client", account.sequence)
        )
        if isinstance(wanted, Refusal):
            return wanted
        price = self.price(wanted.symbol)
        refusal = permission.refusal(wanted, self.book, price=price, shorting=self.shorting)
        if refusal:
            return refusal
        order = self._accept(wanted)
        if account.is_open:
            self._route(order, price, at_most)
        elif order.time_in_force is TimeInForce.IOC:
            settlement.end(self.book, order, OrderStatus.CANCELED)
        return order

    def cancel(self, order_id: str) -> Refusal | None:
        """At once; either half of an OCO takes the other along."""
        order = self.book.orders.get(order_id)
        if order is None:
            return permission.not_found(order_id)
        if not order.is_open:
            return permission.not_cancelable(order)
        settlement.end(self.book, order, OrderStatus.CANCELED)
        return None

    def _accept(self, wanted: Ticket) -> Order:
        number = self.book.tick()
        order = self._order(wanted, number)
        if wanted.order_class is OrderClass.SIMPLE:
            return self.book.put(order)
        account = self.book.account.number
        stop = replace(
            order,
            id=identity(account, "leg", number),
            client_order_id=identity(account, "leg's client", number),
            type=OrderType.STOP,
            limit_price=None,
            status=OrderStatus.HELD,
            parent_id=order.id,
        )
        order = self.book.put(replace(order, stop_price=None, leg_id=stop.id))
        self.book.put(stop)
        return order

    def _order(self, wanted: Ticket, number: int) -> Order:
        account = self.book.account
        return Order(
            id=identity(account.number, "order", number),
            client_order_id=wanted.client_order_id,
            symbol=wanted.symbol,
            side=wanted.side,
            type=wanted.type,
            time_in_force=wanted.time_in_force,
            order_class=wanted.order_class,
            position_intent=holdings.intent(self.book.held(wanted.symbol), wanted.side),
            qty=wanted.qty,
            limit_price=wanted.limit_price,
            stop_price=wanted.stop_price,
            status=OrderStatus.ACCEPTED,
            submitted_at=account.now,
            updated_at=account.now,
            expires_at=self._expiry(wanted.time_in_force),
        )

    def _expiry(self, time_in_force: TimeInForce) -> dt.datetime:
        account = self.book.account
        last_day = account.session or account.at.date()
        if account.stage is Stage.MARK:
            last_day += dt.timedelta(days=1)
        if time_in_force is TimeInForce.GTC:
            last_day += dt.timedelta(days=GTC_DAYS)
        return instant(last_day, CLOSES)

    def _route(self, order: Order, price: Decimal | None, at_most: int | None) -> None:
        """The order goes to the market: it may fill at once, and an IOC ends here either way."""
        order = self.book.record("new", replace(order, status=OrderStatus.NEW))
        leg = self.book.leg(order)
        match = matching.on_arrival(order, leg, price, self._costs) if price is not None else None
        if price is not None and match:
            filled, at = match
            qty = filled.remaining if at_most is None else min(at_most, filled.remaining)
            if qty:
                settlement.fill(
                    self.book, filled, price=at, qty=qty, market=price, costs=self._costs
                )
        order = self.book.orders[order.id]
        if order.is_open and order.time_in_force is TimeInForce.IOC:
            settlement.end(self.book, order, OrderStatus.CANCELED)

    # --- time -------------------------------------------------------------------------------------

    def advance(
        self, session: dt.date, stage: Stage, at: dt.datetime | None = None
    ) -> Refusal | None:
        """Move to that stage through every one between; to where it stands already: nothing happens.

        `at` sets the broker's clock there, for sessions whose hours are not the usual (half days).
        """
        sessions = self.bars.sessions()
        rank = bisect_left(sessions, session)
        if rank == len(sessions) or sessions[rank] != session:
            return Refusal(422, UNPROCESSABLE, f"{session} is not a session of these bars")
        account = self.book.account
        here = (account.session, account.stage) if account.session else None
        if here and day.place((session, stage)) < day.place(here):
            return Refusal(
                409, CONFLICT, f"the clock stands at {here[0]} {here[1]} and does not go back"
            )
        for moment in day.between(sessions, here, (session, stage)):
            last = moment == (session, stage)
            day.Day(self.book, self.bars, self._costs, *moment).enter(at if last else None)
        return None
