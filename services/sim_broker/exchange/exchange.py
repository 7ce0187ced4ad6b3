"""The simulated exchange: accepts orders, moves through the stages of a session, fills orders.

Driven by the HTTP routes and by tests; knows no HTTP, no file and no wall clock. It shows and uses
only the price of its present stage, so nobody who trades with it can look ahead. Fill prices are
those of shared/domain/trading/fills.py.
"""

import datetime as dt
from bisect import bisect_left
from decimal import Decimal

from msgspec import structs
from msgspec.structs import replace

from services.sim_broker.exchange import (
    account_rules,
    matching,
    session as session_stages,
    settlement,
    world,
    world_events as events,
)
from services.sim_broker.exchange.acceptance import accept
from services.sim_broker.exchange.account_book import Account, AccountBook
from services.sim_broker.exchange.listings import ListedMarket
from services.sim_broker.exchange.market_data import MarketData
from services.sim_broker.exchange.market_hours import stage_at
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderRefusal,
    OrderSubmission,
    TimeInForce,
    identity,
)
from services.sim_broker.exchange.order_faults import NoOrderFaults, OrderFaults
from services.sim_broker.exchange.order_validation import UNPROCESSABLE, ticket
from shared.domain.market.simulated_quote import simulated_quote
from shared.domain.trading.fills import Costs
from shared.runtime.clock import Clock
from shared.schemas.values import OrderStatus, Quote, Stage

CENT = Decimal("0.01")
CONFLICT = 40910000


class Exchange:
    """One account on one set of market data.

    `clock` makes the broker's clock run by itself; without one it moves with the stages alone.
    """

    def __init__(
        self,
        bars: MarketData,
        *,
        cash: Decimal,
        number: str = "SIM000001",
        costs: Costs | None = None,
        shorting: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.cash, self.shorting = cash, shorting
        self.faults: OrderFaults = NoOrderFaults()
        self._costs, self._clock = costs or Costs(), clock
        self.bars = ListedMarket(bars, lambda: self.book.account.listings)
        self.book = self._new_book(number)

    def reset(self, number: str) -> None:
        """Start over with a new account, before the first session."""
        self.book = self._new_book(number)

    def _new_book(self, number: str) -> AccountBook:
        at = stage_at(self.bars.sessions()[0], Stage.START)
        account = Account(
            number=number, cash=self.cash, last_equity=self.cash, created_at=at, at=at
        )
        return AccountBook(account, self._clock)

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
        at = self.book.now if self._clock else self.book.account.at
        return simulated_quote(symbol, price, at=at)

    # --- orders -----------------------------------------------------------------------------------

    def submit(self, request: OrderSubmission) -> BrokerOrder | OrderRefusal:
        """Accept or refuse an order; what filled at once is in the book."""
        account = self.book.account
        name = identity(account.number, "client", account.sequence)
        order_ticket = ticket(request, self.bars.symbols(), name)
        if isinstance(order_ticket, OrderRefusal):
            return order_ticket
        price = self.price(order_ticket.symbol)
        refusal = account_rules.refusal_of_account(
            order_ticket, self.book, price=price, shorting=self.shorting
        ) or account_rules.refusal_of_stop(order_ticket, price, self.faults)
        if refusal:
            return refusal
        order = accept(self.book, order_ticket)
        status = self.faults.status_on_arrival(
            order.symbol, rests=order.time_in_force is not TimeInForce.IOC
        )
        if status:
            settlement.end(self.book, order, status)
        elif account.is_open:
            self._route(order, price)
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
        if self.faults.keeps_cancel_pending(order.symbol):
            pending = replace(order, status=OrderStatus.PENDING_CANCEL)
            self.book.record(OrderStatus.PENDING_CANCEL.value, pending)
        else:
            settlement.end(self.book, order, OrderStatus.CANCELED)
        return None

    def _route(self, order: BrokerOrder, price: Decimal | None) -> None:
        """Send the order to the market, where it may fill at once; an IOC ends here either way."""
        order = self.book.record("new", replace(order, status=OrderStatus.NEW))
        leg = self.book.leg(order)
        if price is not None:
            match = matching.match_on_arrival(order, leg, price, self._costs)
            if match:
                self._fill_on_arrival(*match, market=price)
        order = self.book.orders[order.id]
        ends = order.is_open and order.time_in_force is TimeInForce.IOC
        if ends and not self.faults.keeps_open(order.symbol):
            settlement.end(self.book, order, OrderStatus.CANCELED)

    def _fill_on_arrival(self, order: BrokerOrder, price: Decimal, *, market: Decimal) -> None:
        limit = self.faults.arrival_limit(order.symbol)
        qty = order.remaining if limit is None else min(limit, order.remaining)
        qty += self.faults.extra_fill(order.symbol)
        if qty:
            settlement.fill(
                self.book, order, price=price, qty=qty, market=market, costs=self._costs
            )

    # --- the world --------------------------------------------------------------------------------

    def happen(self, event: events.WorldEvent) -> OrderRefusal | None:
        """Apply an event at once, or keep it for its session and stage; announce it."""
        problem = self._problem(event)
        if problem:
            return OrderRefusal(422, UNPROCESSABLE, problem)
        account = self.book.account
        if isinstance(event, events.CorporateEvent):
            session = event.session or account.session or self.bars.sessions()[0]
            announced = (*account.announced, structs.replace(event, session=session))
            account = self.book.account = replace(account, announced=announced)
        if event.session is not None and self._is_ahead(event.session, event.stage):
            self.book.account = replace(account, scheduled=(*account.scheduled, event))
            return None
        return self._apply(event)

    def _problem(self, event: events.WorldEvent) -> str | None:
        symbol = getattr(event, "symbol", "")
        if symbol and symbol not in self.bars.symbols() and symbol not in self.book.positions:
            return f"{symbol} is no symbol of this market"
        if isinstance(event, events.SplitEvent) and min(event.new, event.old) <= 0:
            return "a split needs new and old above 0"
        if isinstance(event, events.HandTradeEvent | events.ReinvestEvent) and event.qty <= 0:
            return "qty must be above 0"
        if isinstance(event, events.SpinOffEvent) and not (
            event.rate > 0 and 0 < event.value_fraction < 1
        ):
            return "a spin-off needs a rate above 0 and a value_fraction between 0 and 1"
        return None

    def _is_ahead(self, session: dt.date, stage: Stage) -> bool:
        account = self.book.account
        if account.session is None:
            return True
        here = session_stages.rank((account.session, account.stage))
        return session_stages.rank((session, stage)) > here

    def _apply(self, event: events.WorldEvent) -> OrderRefusal | None:
        if isinstance(event, events.HandTradeEvent):
            return self._trade_by_hand(event)
        world.apply_event(self.book, event)
        return None

    def scheduled_events(self) -> dict[str, events.WorldEvent]:
        """Events still to come, by an id that stays the same."""
        return {_event_id(each): each for each in self.book.account.scheduled}

    def call_off(self, event_id: str) -> bool:
        """Drop a scheduled event and its announcement; False if there is none of that id."""
        event = self.scheduled_events().get(event_id)
        if event is None:
            return False
        account = self.book.account
        self.book.account = replace(
            account,
            scheduled=tuple(each for each in account.scheduled if each != event),
            announced=tuple(each for each in account.announced if each != event),
        )
        return True

    def _trade_by_hand(self, event: events.HandTradeEvent) -> OrderRefusal | None:
        held = self.book.positions.get(event.symbol)
        price = event.price or self.price(event.symbol) or (held.last_price if held else None)
        if price is None:
            return OrderRefusal(422, UNPROCESSABLE, f"{event.symbol} has no price to trade at")
        world.trade_by_hand(self.book, event, price=price, costs=self._costs)
        return None

    def _happen_as_scheduled(self, moment: session_stages.Moment) -> None:
        account = self.book.account
        due = [
            each
            for each in account.scheduled
            if each.session and (each.session, each.stage) == moment
        ]
        if due:
            later = tuple(each for each in account.scheduled if each not in due)
            self.book.account = replace(account, scheduled=later)
        for event in due:
            self._apply(event)

    # --- time -------------------------------------------------------------------------------------

    def advance(
        self, session: dt.date, stage: Stage, at: dt.datetime | None = None
    ) -> OrderRefusal | None:
        """Move to a stage through every one between; no effect if it is the present one.

        `at` sets the broker's clock there, for sessions with other hours.
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
            entered = session_stages.SessionStage(
                self.book, self.bars, self._costs, self.faults, *moment
            )
            entered.enter(at if last else None)
            self._happen_as_scheduled(moment)
            entered.work()
        return None


def _event_id(event: events.WorldEvent) -> str:
    return f"e{identity('event', event)[:8]}"
