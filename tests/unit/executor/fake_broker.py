"""A broker in memory that keeps the contract: immediate orders meet a price, protections rest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from decimal import Decimal

from msgspec.structs import replace

from services.executor.brokers.protocol import (
    AccountView,
    BrokerClock,
    Kind,
    OrderList,
    OrderRequest,
    PositionList,
    PositionView,
    SubmitAnswer,
    SubmitResult,
    no_objection,
)
from shared.domain.errors import TransientError
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import ENDINGS, OrderView
from shared.runtime.clock import Clock
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.values import OrderStatus, Side, TradingSession

PRICE = Decimal("180.10")


class FakeBroker:
    """`script` answers the next submits instead of it (after taking the order, if `takes`)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.number = "SIM1"
        self.cash = Decimal(100000)
        self.blocked = False
        self.away = False
        self.stubborn = False
        self.price: dict[str, Decimal] = {}
        self.shares: dict[str, int] = {}
        self.script: list[tuple[SubmitAnswer, bool]] = []
        self.hidden: set[str] = set()
        self.posts: list[OrderRequest] = []
        self.orders: dict[str, OrderView] = {}
        self.requests: dict[str, OrderRequest] = {}
        self.held_shares: dict[str, tuple[Decimal | int, Decimal]] = {}
        self.foreign: dict[str, Decimal] = {}
        self.announced = CorporateActions()
        self.assets: dict[str, str] = {}
        self.unreadable: set[str] = set()
        self.empty_lists = 0
        self.requests_made = 0
        self.before_connect: Callable[[], None] = lambda: None
        self.before_answer: Callable[[], None] = lambda: None

    # --- what tests do to it ----------------------------------------------------------------------

    def fill(self, client_order_id: str, price: Decimal, qty: int | None = None) -> None:
        order = self.orders[client_order_id]
        more = order.qty - order.filled_qty if qty is None else Decimal(qty)
        before = order.filled_qty * (order.average_price or 0)
        filled = order.filled_qty + more
        lives = order.stop_lives and filled < order.qty
        status = OrderStatus.FILLED if filled >= order.qty else OrderStatus.PARTIALLY_FILLED
        self.orders[client_order_id] = replace(
            order,
            filled_qty=filled,
            average_price=(before + more * price) / filled,
            status=status,
            stop_lives=lives,
            filled_at=self._clock.now(),
        )
        self._move(order.symbol, more if order.side is Side.BUY else -more, price)

    def end(self, client_order_id: str, status: OrderStatus) -> None:
        self.orders[client_order_id] = replace(
            self.orders[client_order_id],
            status=status,
            stop_lives=status not in ENDINGS and self.orders[client_order_id].stop_lives,
            reported=status.value,
        )

    def add(self, order: OrderView) -> None:
        self.orders[order.client_order_id] = order

    def _move(self, symbol: str, qty: Decimal, price: Decimal) -> None:
        held, average = self.held_shares.get(symbol, (Decimal(0), price))
        self.cash -= qty * price
        self.held_shares[symbol] = (held + qty, price if held == 0 else average)
        if self.held_shares[symbol][0] == 0:
            del self.held_shares[symbol]

    # --- the contract -----------------------------------------------------------------------------

    def submit(
        self, request: OrderRequest, *, last_look: Callable[[], str] = no_objection
    ) -> SubmitAnswer:
        self.before_connect()
        withheld = last_look()
        if withheld:
            return SubmitAnswer(SubmitResult.WITHHELD, withheld, counted=False)
        self.posts.append(request)
        answer, takes = self.script.pop(0) if self.script else (None, True)
        if request.client_order_id in self.orders:
            return SubmitAnswer(SubmitResult.EXISTS, "client_order_id must be unique")
        if takes:
            self._take(request)
        self.before_answer()
        return answer or SubmitAnswer(
            SubmitResult.ACCEPTED, order=self.orders[request.client_order_id]
        )

    def _take(self, request: OrderRequest) -> None:
        name = request.client_order_id
        self.requests[name] = request
        self.orders[name] = OrderView(
            client_order_id=name,
            broker_order_id=f"b-{len(self.orders) + 1}",
            symbol=request.symbol,
            side=request.side,
            qty=Decimal(request.qty),
            status=OrderStatus.NEW,
            stop_lives=request.kind in (Kind.STOP, Kind.STOP_AND_TARGET),
            submitted_at=self._clock.now(),
        )
        if request.kind is Kind.IMMEDIATE and not self.stubborn:
            self._meet(name, request)
        if request.kind is Kind.MARKET and not self.stubborn:
            self.fill(name, self.price.get(request.symbol, PRICE))

    def _meet(self, name: str, request: OrderRequest) -> None:
        price, limit = self.price.get(request.symbol, PRICE), request.limit_price or PRICE
        reached = limit >= price if request.side is Side.BUY else limit <= price
        shares = min(self.shares.get(request.symbol, request.qty), request.qty)
        if reached and shares:
            self.fill(name, price, shares)
        if self.orders[name].status is not OrderStatus.FILLED:
            self.end(name, OrderStatus.CANCELED)

    def _ask(self) -> None:
        self.requests_made += 1
        if self.away:
            raise TransientError("the broker is away")

    def cancel(self, broker_order_id: str) -> None:
        self._ask()
        for name, order in self.orders.items():
            if (
                order.broker_order_id == broker_order_id
                and order.status not in ENDINGS
                and not self.stubborn
            ):
                self.end(name, OrderStatus.CANCELED)

    def order_by_client_id(self, client_order_id: str) -> OrderView | None:
        self._ask()
        return None if client_order_id in self.hidden else self.orders.get(client_order_id)

    def order(self, broker_order_id: str) -> OrderView | None:
        self._ask()
        return next(
            (each for each in self.orders.values() if each.broker_order_id == broker_order_id), None
        )

    def open_orders(self) -> OrderList:
        self._ask()
        return self._listed([each for each in self.orders.values() if each.status not in ENDINGS])

    def orders_since(self, after: dt.datetime | None) -> OrderList:
        self._ask()
        return self._listed(
            [
                each
                for each in self.orders.values()
                if after is None or (each.submitted_at and each.submitted_at > after)
            ]
        )

    def _listed(self, found: list[OrderView]) -> OrderList:
        shown = [each for each in found if each.client_order_id not in self.hidden]
        ours = tuple(each for each in shown if is_ours(each.client_order_id))
        return OrderList(ours=ours, foreign=len(shown) - len(ours))

    def positions(self) -> PositionList:
        self._ask()
        if self.empty_lists:
            self.empty_lists -= 1
            return PositionList(rows=())
        shown = [self._shown(symbol) for symbol in self.held_shares]
        rows = tuple(row for row in shown if row.symbol not in self.unreadable)
        return PositionList(rows=rows, unreadable=tuple(sorted(self.unreadable)))

    def _shown(self, symbol: str) -> PositionView:
        qty, average = self.held_shares[symbol]
        return PositionView(
            symbol=symbol,
            qty=Decimal(qty),
            average_price=average,
            mark=self.price.get(symbol, PRICE),
            asset=self.assets.get(symbol, f"asset of {symbol}"),
        )

    def position(self, symbol: str) -> PositionView | None:
        self._ask()
        return self._shown(symbol) if symbol in self.held_shares else None

    def foreign_executions(self, symbol: str, since: dt.datetime) -> Decimal:
        self._ask()
        return self.foreign.get(symbol, Decimal(0))

    def corporate_actions(
        self, symbols: Collection[str], since: dt.date, through: dt.date
    ) -> CorporateActions:
        self._ask()
        return self.announced

    def account(self) -> AccountView:
        self._ask()
        worth = sum(
            qty * self.price.get(symbol, PRICE) for symbol, (qty, _) in self.held_shares.items()
        )
        return AccountView(
            number=self.number,
            cash=self.cash,
            equity=self.cash + worth,
            buying_power=self.cash,
            blocked=self.blocked,
        )

    def clock(self) -> BrokerClock:
        if self.away:
            raise TransientError("the broker is away")
        return BrokerClock(at=self._clock.now(), is_open=True)

    def sessions(self, first: dt.date, last: dt.date) -> tuple[TradingSession, ...]:
        self._ask()
        days = (first + dt.timedelta(days=number) for number in range((last - first).days + 1))
        return tuple(
            TradingSession(
                session=day,
                opens_at=dt.datetime.combine(day, dt.time(14, 30), dt.UTC),
                closes_at=dt.datetime.combine(day, dt.time(21, 0), dt.UTC),
            )
            for day in days
            if day.weekday() < 5
        )
