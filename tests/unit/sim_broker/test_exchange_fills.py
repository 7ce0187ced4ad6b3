"""Worked examples of the fill rules at the exchange: slippage 5 bps, rounded against us."""

from decimal import Decimal

import pytest

from services.sim_broker.exchange.order import BrokerOrder
from services.sim_broker.fault_injection.kinds import PartialFill
from shared.schemas.values import Bar, OrderStatus, Stage
from tests.unit.sim_broker.bar_table import bar
from tests.unit.sim_broker.trader import CASH, Trader

FILLED, CANCELED, NEW = OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.NEW


def protected(trader: Trader) -> BrokerOrder:
    """Entered on day 2, then a target of 120 and a stop of 90 good till canceled."""
    trader.enter()
    return trader.order("sell", limit="120", stop="90", tif="gtc")


def test_an_entry_fills_at_the_open_plus_five_basis_points_rounded_up() -> None:
    trader = Trader()
    entry = trader.enter()
    assert (entry.status, entry.filled_qty, entry.average_price) == (
        FILLED,
        Decimal(6),
        Decimal("100.05"),
    )
    assert trader.cash == CASH - 6 * Decimal("100.05")


def test_a_time_exit_sells_at_the_close_less_slippage() -> None:
    trader = Trader()
    oco = protected(trader)
    trader.to(6, Stage.CLOSE)
    assert trader.exchange.cancel(oco.id) is None
    time_exit = trader.order("sell", limit="99.80")
    assert (time_exit.status, time_exit.average_price) == (FILLED, Decimal("99.95"))
    assert trader.cash == CASH - 6 * Decimal("0.10")
    assert not trader.exchange.book.positions


@pytest.mark.parametrize(
    ("day", "its_bar", "price"),
    [
        (4, bar("100", "101", "89", "100"), "89.95"),
        (4, bar("100", "125", "89", "100"), "89.95"),
        (2, bar("100", "101", "89", "100"), "89.95"),
        (6, bar("100", "101", "89", "100"), "89.95"),
        (4, bar("80", "81", "79", "80"), "79.96"),
        (4, bar("90", "95", "88", "94"), "89.95"),
    ],
    ids=[
        "touched",
        "touched with the target",
        "entry bar",
        "bar n",
        "gapped through",
        "opens at the stop",
    ],
)
def test_a_stop_fills_at_the_stop_or_the_gapped_open_less_slippage(
    day: int, its_bar: Bar, price: str
) -> None:
    trader = Trader({day: its_bar})
    oco = protected(trader)
    trader.to(day, Stage.BAR)
    assert (trader.leg(oco).status, trader.leg(oco).average_price) == (FILLED, Decimal(price))
    assert trader.now(oco).status is CANCELED
    assert trader.cash == CASH + 6 * (Decimal(price) - Decimal("100.05"))


def test_a_gapped_stop_is_out_already_at_the_open() -> None:
    trader = Trader({4: bar("80", "81", "79", "80")})
    oco = protected(trader)
    trader.to(4, Stage.OPEN)
    assert trader.leg(oco).average_price == Decimal("79.96")


@pytest.mark.parametrize(
    ("its_bar", "price"),
    [(bar("100", "121", "99", "100"), "120"), (bar("123.456", "125", "121", "122"), "123.45")],
    ids=["touched", "gapped over"],
)
def test_a_target_fills_without_slippage_and_only_in_the_bar(its_bar: Bar, price: str) -> None:
    trader = Trader({4: its_bar})
    oco = protected(trader)
    trader.to(4, Stage.OPEN)
    assert trader.now(oco).is_open
    trader.to(4, Stage.BAR)
    assert (trader.now(oco).status, trader.now(oco).average_price) == (FILLED, Decimal(price))
    assert trader.leg(oco).status is CANCELED


def test_an_open_beyond_the_stop_is_shown_to_the_gate_before_anything_is_ordered() -> None:
    trader = Trader({2: bar("70", "71", "69", "70")}).to(2, Stage.OPEN)
    quote = trader.exchange.quote("AAPL")
    assert quote
    assert (quote.bid, quote.ask) == (Decimal("69.99"), Decimal(70))
    assert trader.order("buy", limit="69.99").status is CANCELED


@pytest.mark.parametrize(("at_most", "left"), [(0, 0), (1, 1), (5, 5)])
def test_an_ioc_filled_in_part_ends_canceled_with_what_it_got(at_most: int, left: int) -> None:
    trader = Trader().to(2, Stage.OPEN)
    trader.faults.add(PartialFill(symbol="AAPL", shares=Decimal(at_most)))
    order = trader.ask("buy", limit="100.10")
    assert isinstance(order, BrokerOrder)
    assert (order.status, int(order.filled_qty)) == (CANCELED, at_most)
    assert trader.exchange.book.shares("AAPL") == left


def test_an_ioc_for_a_symbol_that_does_not_trade_today_is_canceled() -> None:
    trader = Trader({2: None}).to(2, Stage.OPEN)
    assert trader.exchange.quote("AAPL") is None
    assert trader.order("buy", limit="100.10").status is CANCELED


def test_a_market_order_of_the_evening_fills_at_the_next_open() -> None:
    trader = Trader({3: bar("102", "103", "101", "102")}).to(2, Stage.MARK)
    order = trader.order("buy", tif="day")
    assert order.status is OrderStatus.ACCEPTED
    trader.to(3, Stage.OPEN)
    assert trader.now(order).average_price == Decimal("102.06")


@pytest.mark.parametrize(("low", "status"), [("94", FILLED), ("96", OrderStatus.EXPIRED)])
def test_a_resting_day_limit_fills_in_the_bar_or_expires(low: str, status: OrderStatus) -> None:
    trader = Trader({2: bar("100", "101", low, "100")}).to(2, Stage.OPEN)
    order = trader.order("buy", limit="95", tif="day")
    assert order.status is NEW
    assert trader.exchange.book.buying_power == CASH - 6 * 95
    trader.to(2, Stage.MARK)
    assert trader.now(order).status is status
    assert trader.exchange.book.buying_power == trader.cash


def test_a_stop_already_passed_when_it_comes_fills_at_once() -> None:
    trader = Trader({2: bar("100", "101", "85", "88")})
    trader.enter()
    trader.to(2, Stage.CLOSE)
    assert trader.order("sell", stop="90", tif="gtc").average_price == Decimal("87.95")


def test_good_till_canceled_lives_through_sessions_without_a_bar() -> None:
    trader = Trader({3: None, 4: bar("100", "101", "85", "88")})
    trader.enter()
    stop = trader.order("sell", stop="90", tif="gtc")
    assert trader.to(3, Stage.MARK).now(stop).status is NEW
    assert trader.to(4, Stage.BAR).now(stop).average_price == Decimal("89.95")


def test_shares_of_a_symbol_gone_for_five_sessions_become_cash_at_the_last_close() -> None:
    trader = Trader({2: bar("100", "101", "99", "98"), **dict.fromkeys(range(3, 13))})
    trader.enter()
    stop = trader.order("sell", stop="90", tif="gtc")
    trader.to(7, Stage.OPEN)
    assert trader.exchange.book.shares("AAPL") == 6
    trader.to(7, Stage.BAR)
    assert trader.exchange.book.shares("AAPL") == 0
    assert trader.now(stop).status is CANCELED
    assert trader.cash == CASH + 6 * (98 - Decimal("100.05"))


def test_a_short_is_the_mirror_of_a_long() -> None:
    trader = Trader({4: bar("100", "111", "99", "100")}, shorting=True).to(2, Stage.OPEN)
    entry = trader.order("sell", limit="99.89")
    assert (entry.average_price, entry.position_intent) == (Decimal("99.95"), "sell_to_open")
    oco = trader.order("buy", limit="80", stop="110", tif="gtc")
    assert trader.exchange.book.equity == CASH - 6 * Decimal("0.05")
    trader.to(4, Stage.BAR)
    assert trader.leg(oco).average_price == Decimal("110.06")
    assert trader.cash == CASH + 6 * (Decimal("99.95") - Decimal("110.06"))


def test_equity_is_cash_and_shares_at_the_close() -> None:
    trader = Trader({2: bar("100", "104", "99", "103")})
    trader.enter()
    assert trader.exchange.book.equity == trader.cash + 600
    trader.to(2, Stage.MARK)
    assert trader.exchange.book.equity == trader.cash + 618
    trader.to(3, Stage.OPEN)
    assert trader.exchange.book.account.last_equity == trader.cash + 618
