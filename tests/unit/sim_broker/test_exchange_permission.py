"""What the exchange refuses, and in which words: parameters, money, shares, crossing, time."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import (
    OrderRefusal,
    OrderSubmission,
    OrderType,
    StopLoss,
    TakeProfit,
)
from shared.schemas.values import OrderStatus, Stage
from tests.unit.sim_broker.bar_table import DAYS, BarTable
from tests.unit.sim_broker.trader import CASH, Trader

GOOD: dict[str, Any] = {
    "symbol": "AAPL",
    "qty": Decimal(6),
    "side": "buy",
    "type": "limit",
    "time_in_force": "ioc",
    "limit_price": Decimal("100.10"),
}
OCO: dict[str, Any] = {
    **GOOD,
    "side": "sell",
    "time_in_force": "gtc",
    "limit_price": None,
    "order_class": "oco",
    "take_profit": TakeProfit(Decimal(120)),
    "stop_loss": StopLoss(Decimal(90)),
}


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"symbol": None}, 40010001, "symbol is required"),
        ({"qty": None}, 40010001, "qty or notional is required"),
        ({"qty": Decimal(0)}, 40010001, "qty must be > 0"),
        ({"qty": Decimal("NaN")}, 40010001, "qty must be > 0"),
        ({"qty": Decimal("1.5")}, 42210000, "fractional"),
        ({"notional": Decimal(10), "qty": None}, 42210000, "notional"),
        ({"symbol": "FACEBOOK"}, 40010001, 'could not find asset "FACEBOOK"'),
        ({"side": "hold"}, 40010001, "invalid side"),
        ({"type": "trailing_stop"}, 42210000, "not simulated"),
        ({"time_in_force": "opg"}, 42210000, "not simulated"),
        ({"order_class": "bracket"}, 42210000, "not simulated"),
        ({"extended_hours": True}, 42210000, "not simulated"),
        ({"limit_price": None}, 40010001, "limit orders require only limit price"),
        ({"type": "market"}, 40010001, "market orders require"),
        ({"limit_price": Decimal("100.123")}, 42210000, "sub-penny"),
        ({"limit_price": Decimal("0.12345")}, 42210000, "sub-penny"),
        ({"limit_price": Decimal(-1)}, 40010001, "limit_price must be > 0"),
        ({"client_order_id": "x" * 129}, 40010001, "128"),
        ({"type": "stop", "limit_price": None, "stop_price": Decimal(90)}, 42210000, "day or gtc"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_the_brokers_words(
    wrong: dict[str, Any], code: int, words: str
) -> None:
    exchange = Exchange(BarTable(), cash=CASH)
    refusal = exchange.submit(OrderSubmission(**{**GOOD, **wrong}))
    assert isinstance(refusal, OrderRefusal)
    assert (refusal.status, refusal.code) == (422, code)
    assert words in refusal.message
    assert not exchange.book.orders


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"type": "market"}, "must be limit orders"),
        ({"stop_loss": None}, "require take_profit.limit_price and stop_loss.stop_price"),
        ({"stop_loss": StopLoss(Decimal(121))}, "losing side"),
        ({"stop_loss": StopLoss(Decimal(90), Decimal(89))}, "not simulated"),
        ({"stop_loss": StopLoss(Decimal("90.005"))}, "sub-penny"),
        ({"time_in_force": "ioc"}, "day or gtc"),
    ],
)
def test_an_oco_that_makes_no_sense_is_refused(wrong: dict[str, Any], words: str) -> None:
    refusal = Exchange(BarTable(), cash=CASH).submit(OrderSubmission(**{**OCO, **wrong}))
    assert isinstance(refusal, OrderRefusal)
    assert words in refusal.message


def test_the_same_client_order_id_is_taken_once() -> None:
    trader = Trader().to(2, Stage.OPEN)
    trader.order("buy", limit="100.10", client_id="k81-once")
    refusal = trader.refusal("buy", limit="100.10", client_id="k81-once")
    assert (refusal.status, refusal.code, refusal.message) == (
        422,
        40010001,
        "client_order_id must be unique",
    )
    assert trader.exchange.book.shares("AAPL") == 6


def test_cash_never_goes_negative() -> None:
    trader = Trader().to(2, Stage.OPEN)
    refusal = trader.refusal("buy", 1000, limit="100.10")
    assert (refusal.status, refusal.code, refusal.message) == (
        403,
        40310000,
        "insufficient buying power",
    )
    assert refusal.extra == {"buying_power": "100000", "cost_basis": "100100"}
    assert trader.order("buy", 999, limit="100.10").status is OrderStatus.FILLED


def test_shares_held_for_an_order_cannot_be_sold_again() -> None:
    trader = Trader()
    trader.enter()
    stop = trader.order("sell", 4, stop="90", tif="gtc")
    refusal = trader.refusal("sell", 3, limit="99.80")
    assert (refusal.status, refusal.code) == (403, 40310000)
    assert refusal.extra == {
        "available": "2",
        "existing_qty": "6",
        "held_for_orders": "4",
        "related_orders": [stop.id],
        "symbol": "AAPL",
    }
    assert trader.order("sell", 2, limit="99.80").status is OrderStatus.FILLED
    trader.exchange.cancel(stop.id)
    assert trader.order("sell", 4, limit="99.80").status is OrderStatus.FILLED


def test_an_oco_holds_its_shares_once() -> None:
    trader = Trader()
    trader.enter()
    trader.order("sell", limit="120", stop="90", tif="gtc")
    assert trader.exchange.book.available("AAPL") == 0


def test_selling_what_is_not_held_needs_leave_to_short() -> None:
    refusal = Trader().to(2, Stage.OPEN).refusal("sell", limit="99.80")
    assert (refusal.status, refusal.message) == (403, "account is not allowed to short")


def test_orders_that_could_trade_with_each_other_are_refused() -> None:
    trader = Trader()
    trader.enter()
    stop = trader.order("sell", stop="90", tif="gtc")
    refusal = trader.refusal("buy", limit="100.10")
    assert (refusal.status, refusal.code) == (403, 40310000)
    assert "wash trade" in refusal.message
    assert refusal.extra["existing_order_id"] == stop.id


def test_a_suspended_account_takes_no_orders() -> None:
    trader = Trader().to(2, Stage.OPEN)
    book = trader.exchange.book
    book.account = replace(book.account, suspended=True)
    assert (
        trader.refusal("buy", limit="100.10").message == "new orders are rejected by user request"
    )


@pytest.mark.parametrize("half", ["target", "stop"])
def test_canceling_either_half_of_an_oco_cancels_both(half: str) -> None:
    trader = Trader()
    trader.enter()
    oco = trader.order("sell", limit="120", stop="90", tif="gtc")
    stop = trader.leg(oco)
    assert (oco.type, stop.type, stop.status) == (OrderType.LIMIT, OrderType.STOP, OrderStatus.HELD)
    assert trader.exchange.cancel(oco.id if half == "target" else stop.id) is None
    assert {trader.now(oco).status, trader.now(stop).status} == {OrderStatus.CANCELED}


def test_only_a_working_order_can_be_canceled() -> None:
    trader = Trader()
    refusal = trader.exchange.cancel(trader.enter().id)
    assert refusal
    assert (refusal.status, refusal.message) == (422, 'order is already in "filled" state')
    unknown = trader.exchange.cancel("b0b6dd9d-8b9b-48a9-ba46-b9d54906e415")
    assert unknown
    assert (unknown.status, unknown.code) == (404, 40410000)


# --- time -----------------------------------------------------------------------------------------


def test_advancing_to_where_it_stands_changes_nothing() -> None:
    trader = Trader()
    trader.enter()
    trader.exchange.book.drain_changes()
    trader.to(2, Stage.OPEN)
    assert trader.exchange.book.drain_changes() is None


@pytest.mark.parametrize(("day", "stage"), [(1, Stage.MARK), (2, Stage.OPEN)])
def test_the_clock_does_not_go_back(day: int, stage: Stage) -> None:
    trader = Trader().to(2, Stage.BAR)
    refusal = trader.exchange.advance(DAYS[day - 1], stage)
    assert refusal
    assert refusal.status == 409


def test_only_sessions_of_the_bars_can_be_entered() -> None:
    refusal = Trader().exchange.advance(dt.date(2024, 1, 6), Stage.OPEN)
    assert refusal
    assert refusal.status == 422


def test_skipped_stages_are_gone_through_all_the_same() -> None:
    hasty, careful = Trader(), Trader()
    for trader in (hasty, careful):
        trader.enter()
        trader.order("sell", limit="100.90", stop="90", tif="gtc")
    for day in (2, 3):
        for stage in (Stage.BAR, Stage.CLOSE, Stage.MARK) if day == 2 else tuple(Stage):
            careful.to(day, stage)
    hasty.to(3, Stage.MARK)
    assert hasty.exchange.book.everything() == careful.exchange.book.everything()


def test_the_same_trades_make_the_same_ids_and_times() -> None:
    books = []
    for _ in range(2):
        trader = Trader()
        trader.enter()
        trader.order("sell", limit="120", stop="90", tif="gtc")
        books.append(trader.to(5, Stage.MARK).exchange.book.everything())
    assert books[0] == books[1]


def test_no_price_is_shown_before_the_open_and_only_the_close_after_it() -> None:
    trader = Trader()
    assert trader.exchange.price("AAPL") is None
    assert trader.to(2, Stage.START).exchange.price("AAPL") is None
    assert trader.to(2, Stage.MARK).exchange.price("AAPL") == 100


def test_a_session_with_other_hours_brings_its_own_clock() -> None:
    trader = Trader()
    early = dt.datetime(2024, 1, 3, 17, 55, tzinfo=dt.UTC)
    assert trader.exchange.advance(DAYS[1], Stage.CLOSE, early) is None
    assert trader.exchange.book.account.at == early
