"""Faults of single orders at the exchange.

Fills in part, orders that linger, cancels that stick.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.sim_broker.exchange.order import BrokerOrder, OrderRefusal
from services.sim_broker.fault_injection import kinds
from shared.schemas.values import OrderStatus, Stage
from tests.unit.sim_broker.bar_table import bar
from tests.unit.sim_broker.trader import Trader, decimals

HIT = {4: bar("100", "101", "89", "100")}


def protected(trader: Trader) -> BrokerOrder:
    trader.enter()
    return trader.order("sell", limit="120", stop="90", tif="gtc")


def test_a_resting_stop_filled_in_part_goes_on_resting_for_the_rest() -> None:
    trader = Trader({**HIT, 5: bar("100", "101", "88", "100")})
    oco = protected(trader)
    trader.faults.add(kinds.PartialStop(symbol="AAPL", shares=Decimal(2)))
    trader.to(4, Stage.BAR)
    leg = trader.leg(oco)
    assert leg.status is OrderStatus.PARTIALLY_FILLED
    assert (leg.filled_qty, leg.remaining) == decimals(2, 4)
    assert (trader.now(oco).qty, trader.exchange.book.shares("AAPL")) == decimals(4, 4)
    assert trader.exchange.book.available("AAPL") == 0
    trader.to(5, Stage.BAR)
    assert trader.leg(oco).status is OrderStatus.FILLED
    assert trader.now(oco).status is OrderStatus.CANCELED
    assert not trader.exchange.book.positions


@pytest.mark.parametrize("shares", [None, 2])
def test_an_immediate_order_can_linger_unfilled_or_filled_in_part(shares: int | None) -> None:
    trader = Trader().to(2, Stage.OPEN)
    trader.faults.add(kinds.PartialFill(symbol="AAPL", shares=Decimal(shares or 0)))
    trader.faults.add(kinds.Linger(symbol="AAPL"))
    order = trader.order("buy", limit="100.10")
    assert order.is_open
    assert order.filled_qty == (shares or 0)
    assert trader.exchange.cancel(order.id) is None
    assert trader.now(order).status is OrderStatus.CANCELED


def test_more_can_fill_than_was_asked_for() -> None:
    trader = Trader().to(2, Stage.OPEN)
    trader.faults.add(kinds.Overfill(shares=Decimal(3)))
    order = trader.order("buy", limit="100.10")
    assert (order.status, int(order.filled_qty)) == (OrderStatus.FILLED, 9)
    assert trader.exchange.book.shares("AAPL") == 9


@pytest.mark.parametrize("status", ["canceled", "rejected", "expired"])
def test_a_protection_accepted_can_be_ended_by_the_broker_as_often_as_it_comes(status: str) -> None:
    trader = Trader()
    trader.enter()
    trader.faults.add(kinds.EndOnArrival(symbol="AAPL", status=status, times=2))  # type: ignore[arg-type]
    for expected in (status, status, "new"):
        oco = trader.order("sell", limit="120", stop="90", tif="gtc")
        assert trader.now(oco).status.value == expected


def test_an_entry_can_be_rejected_after_it_was_accepted() -> None:
    trader = Trader().to(2, Stage.OPEN)
    trader.faults.add(kinds.EndOnArrival(status="rejected", which="immediate"))
    order = trader.order("buy", limit="100.10")
    assert (order.status, int(order.filled_qty)) == (OrderStatus.REJECTED, 0)
    assert order.failed_at


@pytest.mark.parametrize("limit", [None, "120"])
def test_a_stop_beyond_the_market_can_be_refused(limit: str | None) -> None:
    trader = Trader({2: bar("100", "101", "85", "88")})
    trader.enter()
    trader.to(2, Stage.CLOSE)
    trader.faults.add(kinds.RefuseStop())
    refused = trader.ask("sell", limit=limit, stop="90", tif="gtc")
    assert isinstance(refused, OrderRefusal)
    assert (refused.status, refused.message) == (
        422,
        "stop price must be less than current price 88",
    )
    taken = trader.ask("sell", limit=limit, stop="87", tif="gtc")
    assert isinstance(taken, BrokerOrder)
    assert taken.is_open


def test_a_cancel_can_stay_pending_and_the_order_may_still_fill() -> None:
    trader = Trader(HIT)
    oco = protected(trader)
    trader.faults.add(kinds.StuckCancel(symbol="AAPL"))
    assert trader.exchange.cancel(oco.id) is None
    assert trader.now(oco).status is OrderStatus.PENDING_CANCEL
    assert trader.now(oco).is_open
    trader.to(4, Stage.BAR)
    assert trader.leg(oco).status is OrderStatus.FILLED


def test_a_stuck_cancel_ends_with_the_next_one() -> None:
    trader = Trader()
    oco = protected(trader)
    trader.faults.add(kinds.StuckCancel(times=2))
    for expected in ("pending_cancel", "pending_cancel", "canceled"):
        assert trader.exchange.cancel(oco.id) is None
        assert trader.now(oco).status.value == expected
