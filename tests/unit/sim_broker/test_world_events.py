"""Events of the world change account, prices and orders as a broker's would, at once or on time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.sim_broker.exchange import world_events as events
from services.sim_broker.exchange.account_book import AccountBook
from services.sim_broker.exchange.order import BrokerOrder, OrderRefusal
from shared.schemas.values import OrderStatus, Side, Stage
from tests.unit.sim_broker.bar_table import DAYS, bar
from tests.unit.sim_broker.trader import CASH, Trader, decimals


def protected(trader: Trader, qty: int = 6) -> BrokerOrder:
    trader.enter(qty)
    return trader.order("sell", qty, limit="120", stop="90", tif="gtc")


def happen(trader: Trader, event: events.WorldEvent) -> None:
    assert trader.exchange.happen(event) is None


def book(trader: Trader) -> AccountBook:
    return trader.exchange.book


def test_a_split_doubles_shares_halves_prices_and_leaves_the_equity() -> None:
    trader = Trader({3: bar("100", "101", "99", "100")})
    oco = protected(trader)
    happen(trader, events.SplitEvent(symbol="AAPL", new=Decimal(2), session=DAYS[2]))
    before = trader.to(2, Stage.MARK).exchange.book.equity
    trader.to(3, Stage.OPEN)
    position = book(trader).positions["AAPL"]
    assert (position.qty, position.last_price, position.average_price) == (
        Decimal(12),
        Decimal(50),
        Decimal("50.025"),
    )
    assert trader.exchange.price("AAPL") == 50
    assert book(trader).equity == before
    assert trader.now(oco).status is OrderStatus.CANCELED


@pytest.mark.parametrize(
    ("fraction", "qty", "cash"), [("cash", "1", "250.00"), ("keep", "1.25", "0")]
)
def test_a_reverse_split_pays_the_fraction_in_cash_or_keeps_it(
    fraction: str, qty: str, cash: str
) -> None:
    trader = Trader()
    trader.enter(5)
    before = trader.cash
    event = events.SplitEvent(
        symbol="AAPL",
        new=Decimal(1),
        old=Decimal(4),
        fraction=fraction,  # type: ignore[arg-type]
    )
    happen(trader, event)
    assert book(trader).shares("AAPL") == Decimal(qty)
    assert trader.cash - before == Decimal(cash) * (Decimal("0.4"))
    assert trader.exchange.price("AAPL") == 400


def test_orders_of_a_split_symbol_can_be_kept_or_adjusted() -> None:
    kept, adjusted = Trader(), Trader()
    for trader, orders in ((kept, "keep"), (adjusted, "adjust")):
        oco = protected(trader)
        happen(
            trader,
            events.SplitEvent(symbol="AAPL", new=Decimal(2), orders=orders),  # type: ignore[arg-type]
        )
        now = trader.now(oco)
        shown = (now.qty, now.limit_price, trader.leg(oco).stop_price)
        assert shown == (decimals(6, 120, 90) if orders == "keep" else decimals(12, 60, 45))


def test_a_rename_moves_position_and_bars_to_the_new_symbol() -> None:
    trader = Trader()
    oco = protected(trader)
    happen(trader, events.RenameEvent(symbol="AAPL", new_symbol="APPL", session=DAYS[2]))
    trader.to(3, Stage.OPEN)
    assert list(book(trader).positions) == ["APPL"]
    assert trader.exchange.price("APPL") == 100
    assert trader.exchange.price("AAPL") is None
    assert trader.now(oco).status is OrderStatus.CANCELED
    refused = trader.refusal("buy", limit="100.10")
    assert refused.message == 'could not find asset "AAPL"'
    assert trader.order("sell", symbol="APPL", limit="99.80").status is OrderStatus.FILLED


def test_a_spin_off_gives_new_shares_for_part_of_the_price() -> None:
    trader = Trader()
    protected(trader)
    before = book(trader).equity
    happen(
        trader,
        events.SpinOffEvent(
            symbol="AAPL",
            new_symbol="CHLD",
            rate=Decimal("0.25"),
            value_fraction=Decimal("0.1"),
        ),
    )
    held = book(trader).positions
    assert (held["AAPL"].qty, held["AAPL"].last_price) == decimals(6, 90)
    assert (held["CHLD"].qty, held["CHLD"].last_price) == decimals("1.5", 40)
    assert book(trader).equity == before
    assert (trader.exchange.price("AAPL"), trader.exchange.price("CHLD")) == decimals(90, 40)
    assert held["AAPL"].cost + held["CHLD"].cost == 6 * Decimal("100.05")


def test_a_reinvested_dividend_leaves_a_fraction_that_a_day_order_can_sell() -> None:
    trader = Trader()
    trader.enter()
    cash = trader.cash
    happen(trader, events.ReinvestEvent(symbol="AAPL", qty=Decimal("0.5")))
    assert (book(trader).shares("AAPL"), trader.cash) == (Decimal("6.5"), cash)
    assert trader.order("sell", Decimal("6.5"), tif="day").status is OrderStatus.FILLED
    assert not book(trader).positions


def test_a_delisted_symbol_stops_trading_and_may_be_paid_out() -> None:
    left, paid = Trader(), Trader()
    for trader in (left, paid):
        protected(trader)
    happen(left, events.DelistEvent(symbol="AAPL"))
    happen(paid, events.DelistEvent(symbol="AAPL", price=Decimal(30)))
    assert left.exchange.quote("AAPL") is None
    assert book(left).shares("AAPL") == 6
    assert not list(book(left).open_orders())
    assert (book(paid).shares("AAPL"), paid.cash) == decimals(0, CASH - 6 * Decimal("100.05") + 180)


def test_shares_traded_by_hand_are_an_order_without_an_id_of_ours() -> None:
    trader = Trader()
    trader.enter()
    happen(trader, events.HandTradeEvent(symbol="AAPL", qty=Decimal(7)))
    happen(trader, events.HandTradeEvent(symbol="IBM", qty=Decimal(2), price=Decimal(50)))
    orders = list(book(trader).orders.values())[-2:]
    assert [(each.symbol, int(each.qty), each.status.value) for each in orders] == [
        ("AAPL", 7, "filled"),
        ("IBM", 2, "filled"),
    ]
    assert not any(each.client_order_id.startswith("k81-") for each in orders)
    assert (book(trader).shares("AAPL"), book(trader).shares("IBM")) == decimals(13, 2)


def test_a_hand_trade_may_turn_a_long_into_a_short() -> None:
    trader = Trader()
    trader.enter(3)
    happen(trader, events.HandTradeEvent(symbol="AAPL", side=Side.SELL, qty=Decimal(5)))
    position = book(trader).positions["AAPL"]
    assert (position.qty, position.average_price) == decimals(-2, 100)


@pytest.mark.parametrize(("amount", "kind"), [("5000", "CSD"), ("-2500.50", "CSW")])
def test_a_transfer_changes_the_cash_and_is_an_activity(amount: str, kind: str) -> None:
    trader = Trader().to(2, Stage.OPEN)
    happen(trader, events.TransferEvent(amount=Decimal(amount)))
    assert trader.cash == CASH + Decimal(amount)
    (activity,) = book(trader).activities
    assert (activity.type.value, activity.net_amount) == (kind, Decimal(amount))


def test_a_blocked_account_takes_no_order_until_the_block_is_lifted() -> None:
    trader = Trader().to(2, Stage.OPEN)
    happen(trader, events.BlockEvent())
    refused = trader.refusal("buy", limit="100.10")
    assert (refused.status, "blocked" in refused.message) == (403, True)
    happen(trader, events.BlockEvent(blocked=False))
    assert trader.order("buy", limit="100.10").status is OrderStatus.FILLED


def test_a_halted_symbol_has_no_quote_and_no_fill_until_it_resumes() -> None:
    trader = Trader({2: bar("100", "101", "85", "88")})
    oco = protected(trader)
    happen(trader, events.HaltEvent(symbol="AAPL"))
    trader.to(2, Stage.CLOSE)
    assert trader.exchange.quote("AAPL") is None
    assert trader.leg(oco).status is OrderStatus.HELD
    assert trader.order("buy", symbol="IBM", limit="100.10").status is OrderStatus.FILLED
    happen(trader, events.HaltEvent(symbol="AAPL", halted=False))
    assert trader.exchange.price("AAPL") == 88


@pytest.mark.parametrize(
    ("half", "target", "stop"),
    [("stop", "new", "canceled"), ("target", "canceled", "held"), ("both", "canceled", "canceled")],
)
def test_the_broker_can_end_either_half_of_an_oco_alone(half: str, target: str, stop: str) -> None:
    trader = Trader({4: bar("100", "101", "85", "88"), 5: bar("120", "125", "119", "120")})
    oco = protected(trader)
    happen(trader, events.EndOrderEvent(symbol="AAPL", half=half))  # type: ignore[arg-type]
    assert (trader.now(oco).status.value, trader.leg(oco).status.value) == (target, stop)
    trader.to(4, Stage.BAR)
    assert book(trader).shares("AAPL") == (0 if half == "target" else 6)
    trader.to(5, Stage.BAR)
    assert book(trader).shares("AAPL") == (6 if half == "both" else 0)


def test_a_session_the_exchange_stays_shut_fills_nothing_and_is_not_open() -> None:
    trader = Trader({3: bar("80", "81", "79", "80")})
    oco = protected(trader)
    happen(trader, events.ClosureEvent(session=DAYS[2]))
    trader.to(3, Stage.BAR)
    assert trader.leg(oco).status is OrderStatus.HELD
    assert not book(trader).account.is_open
    assert trader.order("buy", limit="100.10").status is OrderStatus.CANCELED


def test_events_wait_for_their_session_and_can_be_called_off() -> None:
    trader = Trader().to(2, Stage.OPEN)
    for day in (3, 4):
        happen(trader, events.TransferEvent(amount=Decimal(day), session=DAYS[day - 1]))
    later = [name for name, each in trader.exchange.scheduled_events().items() if each.session]
    assert len(later) == 2
    assert trader.exchange.call_off(later[0])
    assert not trader.exchange.call_off(later[0])
    trader.to(5, Stage.OPEN)
    assert trader.cash == CASH + 4
    assert trader.exchange.scheduled_events() == {}


def test_an_event_may_happen_at_a_stage_of_its_session() -> None:
    trader = Trader()
    protected(trader)
    happen(
        trader,
        events.HandTradeEvent(
            symbol="AAPL", side=Side.SELL, qty=Decimal(6), session=DAYS[2], stage=Stage.CLOSE
        ),
    )
    assert book(trader.to(3, Stage.BAR)).shares("AAPL") == 6
    assert book(trader.to(3, Stage.CLOSE)).shares("AAPL") == 0


@pytest.mark.parametrize(
    "event",
    [
        events.SplitEvent(symbol="NONE", new=Decimal(2)),
        events.SplitEvent(symbol="AAPL", new=Decimal(0)),
        events.HandTradeEvent(symbol="AAPL", qty=Decimal(0)),
        events.SpinOffEvent(symbol="AAPL", new_symbol="X", value_fraction=Decimal(1)),
        events.HandTradeEvent(symbol="IBM"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_changes_nothing(
    event: events.WorldEvent,
) -> None:
    trader = Trader()
    refusal = trader.exchange.happen(event)
    assert isinstance(refusal, OrderRefusal)
    assert refusal.status == 422
    assert trader.exchange.scheduled_events() == {}


def test_what_happened_survives_a_restart() -> None:
    trader, again = Trader(), Trader()
    protected(trader)
    happen(trader, events.SplitEvent(symbol="AAPL", new=Decimal(2)))
    happen(trader, events.TransferEvent(amount=Decimal(9), session=DAYS[3]))
    book(again).restore(book(trader).everything())
    assert again.exchange.price("AAPL") == 50
    again.to(4, Stage.OPEN)
    trader.to(4, Stage.OPEN)
    assert book(again).everything() == book(trader).everything()
