"""The simulated exchange: accepts orders, moves through the stages of a session, fills orders.

Driven by the HTTP routes and by tests; knows no HTTP, no file and no wall clock. It shows and uses
only the price of its present stage, so nobody who trades with it can look ahead. Fill prices are
those of shared/domain/trading/fills.py.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange import (
    account_rules,
    matching,
    position,
    session as session_stages,
    settlement,
)
from services.sim_broker.exchange.account_book import Account, AccountBook
from services.sim_broker.exchange.market_data import MarketData
from services.sim_broker.exchange.market_hours import CLOSES, instant, stage_at
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderClass,
    OrderRefusal,
    OrderSubmission,
    OrderType,
    Ticket,
    TimeInForce,
    identity,
)
from services.sim_broker.exchange.order_validation import UNPROCESSABLE, ticket
from shared.domain.trading.fills import Costs
from shared.schemas.values import OrderStatus, Quote, Stage

CENT = Decimal("0.01")
GTC_DAYS = 90
"""Alpaca expires a GTC order after 90 days."""
CONFLICT = 40910000


class Exchange:
    """One account on one set of market data."""

    def __init__(
        self,
        bars: MarketData,
        *,
        cash: Decimal,
        number: str = "SIM000001",
        costs: Costs | None = None,
        shorting: bool = False,
    ) -> None:
        self.bars, self.cash, self.shorting = bars, cash, shorting
        self._costs = costs or Costs()
        self.book = self._new_book(number)

    def reset(self, number: str) -> None:
        """Start over with a new account, before the first session."""
        self.book = self._new_book(number)

    def _new_book(self, number: str) -> AccountBook:
        at = stage_at(self.bars.sessions()[0], Stage.START)
        return AccountBook(
            Account(number=number, cash=self.cash, last_equity=self.cash, created_at=at, at=at)
        )

    # --- prices -----------------------------------------------------------------------------------

    def price(self, symbol: str) -> Decimal | None:
        """The price of the present stage; None before the open and for symbols without a bar."""
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

    def submit(
        self, request: OrderSubmission, *, at_most: int | None = None
    ) -> BrokerOrder | OrderRefusal:
        """Accept or refuse an order; what filled at once is in the book.

        `at_most` caps the shares that fill on arrival.
        """
        account = self.book.account
        order_ticket = ticket(
            request, self.bars.symbols(), identity(account.number, "client", account.sequence)
        )
        if isinstance(order_ticket, OrderRefusal):
            return order_ticket
        price = self.price(order_ticket.symbol)
        refusal = account_rules.refusal_of_account(
            order_ticket, self.book, price=price, shorting=self.shorting
        )
        if refusal:
            return refusal
        order = self._accept(order_ticket)
        if account.is_open:
            self._route(order, price, at_most)
        elif order.time_in_force is TimeInForce.IOC:
            settlement.end(self.book, order, OrderStatus.CANCELED)
        return order

    def cancel(self, order_id: str) -> OrderRefusal | None:
        """Cancel a working order; either half of an OCO cancels both."""
        order = self.book.orders.get(order_id)
        if order is None:
            return account_rules.order_not_found(order_id)
        if not order.is_open:
            return account_rules.order_not_cancelable(order)
        settlement.end(self.book, order, OrderStatus.CANCELED)
        return None

    def _accept(self, order_ticket: Ticket) -> BrokerOrder:
        number = self.book.tick()
        order = self._order_from(order_ticket, number)
        if order_ticket.order_class is OrderClass.SIMPLE:
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

    def _order_from(self, order_ticket: Ticket, number: int) -> BrokerOrder:
        account = self.book.account
        return BrokerOrder(
            id=identity(account.number, "order", number),
            client_order_id=order_ticket.client_order_id,
            symbol=order_ticket.symbol,
            side=order_ticket.side,
            type=order_ticket.type,
            time_in_force=order_ticket.time_in_force,
            order_class=order_ticket.order_class,
            position_intent=position.position_intent(
                self.book.shares(order_ticket.symbol), order_ticket.side
            ),
            qty=order_ticket.qty,
            limit_price=order_ticket.limit_price,
            stop_price=order_ticket.stop_price,
            status=OrderStatus.ACCEPTED,
            submitted_at=account.now,
            updated_at=account.now,
            expires_at=self._expiry(order_ticket.time_in_force),
        )

    def _expiry(self, time_in_force: TimeInForce) -> dt.datetime:
        account = self.book.account
        last_day = account.session or account.at.date()
        if account.stage is Stage.MARK:
            last_day += dt.timedelta(days=1)
        if time_in_force is TimeInForce.GTC:
            last_day += dt.timedelta(days=GTC_DAYS)
        return instant(last_day, CLOSES)

    def _route(self, order: BrokerOrder, price: Decimal | None, at_most: int | None) -> None:
        """Send the order to the market, where it may fill at once; an IOC ends here either way."""
        order = self.book.record("new", replace(order, status=OrderStatus.NEW))
        leg = self.book.leg(order)
        match = (
            matching.match_on_arrival(order, leg, price, self._costs) if price is not None else None
        )
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
    ) -> OrderRefusal | None:
        """Move to a stage through every one between; no effect if it is the present one.

        `at` sets the broker's clock there, for sessions with other hours (half days).
        """
        sessions = self.bars.sessions()
        rank = bisect_left(sessions, session)
        if rank == len(sessions) or sessions[rank] != session:
            return OrderRefusal(422, UNPROCESSABLE, f"{session} is not a session of these bars")
        account = self.book.account
        here = (account.session, account.stage) if account.session else None
        if here and session_stages.rank((session, stage)) < session_stages.rank(here):
            return OrderRefusal(
                409, CONFLICT, f"the clock stands at {here[0]} {here[1]} and does not go back"
            )
        for moment in session_stages.moments_between(sessions, here, (session, stage)):
            last = moment == (session, stage)
            session_stages.SessionStage(self.book, self.bars, self._costs, *moment).enter(
                at if last else None
            )
        return None
