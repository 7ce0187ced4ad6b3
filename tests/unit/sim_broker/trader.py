"""A trader at the exchange, for tests: says what it wants in one line and sees what it got."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import (
    BrokerOrder,
    OrderRefusal,
    OrderSubmission,
    StopLoss,
    TakeProfit,
)
from services.sim_broker.fault_injection.plan import FaultPlan
from shared.schemas.values import Bar, Stage
from tests.unit.sim_broker.bar_table import DAYS, BarTable

CASH = Decimal(100_000)


def decimals(*values: int | str | Decimal) -> tuple[Decimal, ...]:
    return tuple(Decimal(value) for value in values)


class Trader:
    def __init__(
        self, days: Mapping[int, Bar | None] | None = None, *, shorting: bool = False
    ) -> None:
        self.exchange = Exchange(BarTable(days), cash=CASH, shorting=shorting)
        self.faults = self.exchange.faults = FaultPlan()

    @property
    def cash(self) -> Decimal:
        return self.exchange.book.account.cash

    def to(self, day: int, stage: Stage) -> Trader:
        assert self.exchange.advance(DAYS[day - 1], stage) is None
        return self

    def ask(
        self,
        side: str,
        qty: int | Decimal = 6,
        *,
        limit: str | None = None,
        stop: str | None = None,
        tif: str = "ioc",
        symbol: str = "AAPL",
        client_id: str | None = None,
    ) -> BrokerOrder | OrderRefusal:
        """As it stands in the book after the exchange has taken it."""
        oco = limit is not None and stop is not None
        request = OrderSubmission(
            symbol=symbol,
            qty=Decimal(qty),
            side=side,
            type="limit" if limit else "stop" if stop else "market",
            time_in_force=tif,
            limit_price=Decimal(limit) if limit and not oco else None,
            stop_price=Decimal(stop) if stop and not oco else None,
            client_order_id=client_id,
            order_class="oco" if oco else None,
            take_profit=TakeProfit(Decimal(limit)) if limit and oco else None,
            stop_loss=StopLoss(Decimal(stop)) if stop and oco else None,
        )
        taken = self.exchange.submit(request)
        return taken if isinstance(taken, OrderRefusal) else self.now(taken)

    def order(self, side: str, qty: int | Decimal = 6, **how: str) -> BrokerOrder:
        taken = self.ask(side, qty, **how)
        assert isinstance(taken, BrokerOrder), taken
        return taken

    def refusal(self, side: str, qty: int | Decimal = 6, **how: str) -> OrderRefusal:
        refused = self.ask(side, qty, **how)
        assert isinstance(refused, OrderRefusal), refused
        return refused

    def now(self, order: BrokerOrder) -> BrokerOrder:
        return self.exchange.book.orders[order.id]

    def leg(self, order: BrokerOrder) -> BrokerOrder:
        leg = self.exchange.book.leg(self.now(order))
        assert leg
        return leg

    def enter(self, qty: int = 6) -> BrokerOrder:
        """Day 2's open, the entry of the worked examples: 6 shares at 100.05."""
        self.to(2, Stage.OPEN)
        return self.order("buy", qty, limit="100.10")
