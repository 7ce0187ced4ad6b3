"""Alpaca's own Python client works against the simulated broker, over HTTP and websocket."""

from __future__ import annotations

import datetime as dt
import threading
import warnings
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from tests.unit.sim_broker.broker_server import KEY, SECRET, Wire

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from alpaca.common.exceptions import APIError
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.requests import StockLatestQuoteRequest
    from alpaca.trading.client import TradingClient
    from alpaca.trading.enums import (
        OrderClass,
        OrderSide,
        OrderStatus,
        QueryOrderStatus,
        TimeInForce,
    )
    from alpaca.trading.requests import (
        ClosePositionRequest,
        GetCalendarRequest,
        GetOrderByIdRequest,
        GetOrdersRequest,
        LimitOrderRequest,
        MarketOrderRequest,
        StopLossRequest,
        StopOrderRequest,
        TakeProfitRequest,
    )
    from alpaca.trading.stream import TradingStream

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*unclosed.*:ResourceWarning"),
]


@pytest.fixture
def client(broker: Wire) -> Any:
    """The SDK types every answer as 'model or dict'; here it is what it is."""
    broker.advance(2, "open")
    return TradingClient(KEY, SECRET, url_override=broker.url)


def ioc(side: OrderSide = OrderSide.BUY, price: float = 100.10, **more: Any) -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL", qty=6, side=side, time_in_force=TimeInForce.IOC, limit_price=price, **more
    )


def stop() -> StopOrderRequest:
    return StopOrderRequest(
        symbol="AAPL", qty=6, side=OrderSide.SELL, time_in_force=TimeInForce.GTC, stop_price=90.0
    )


def oco() -> LimitOrderRequest:
    return LimitOrderRequest(
        symbol="AAPL",
        qty=6,
        side=OrderSide.SELL,
        time_in_force=TimeInForce.GTC,
        order_class=OrderClass.OCO,
        take_profit=TakeProfitRequest(limit_price=120.0),
        stop_loss=StopLossRequest(stop_price=90.0),
    )


def test_account(client: Any) -> None:
    account = client.get_account()
    assert (account.account_number, account.status, account.buying_power) == (
        "SIM000001",
        "ACTIVE",
        "100000",
    )


def test_an_ioc_buy_is_accepted_and_then_filled(client: Any) -> None:
    accepted = client.submit_order(ioc(client_order_id="k81-one"))
    assert accepted.status is OrderStatus.ACCEPTED
    filled = client.get_order_by_id(accepted.id)
    assert (filled.status, filled.filled_qty, filled.filled_avg_price) == (
        OrderStatus.FILLED,
        "6",
        "100.05",
    )
    assert client.get_order_by_client_id("k81-one").id == accepted.id


def test_an_ioc_buy_below_the_market_ends_canceled(client: Any) -> None:
    order = client.get_order_by_id(client.submit_order(ioc(price=99.0)).id)
    assert (order.status, order.filled_qty) == (OrderStatus.CANCELED, "0")


def test_an_ioc_filled_in_part_ends_canceled_with_its_filled_qty(client: Any, broker: Wire) -> None:
    broker("POST", "/sim/faults", {"kind": "partial", "shares": 4})
    order = client.get_order_by_id(client.submit_order(ioc()).id)
    assert (order.status, order.filled_qty, order.filled_avg_price) == (
        OrderStatus.CANCELED,
        "4",
        "100.05",
    )


def test_a_gtc_stop_rests_and_fills_in_the_bar_that_touches_it(client: Any, broker: Wire) -> None:
    client.submit_order(ioc())
    resting = client.submit_order(stop())
    broker.advance(3, "mark")
    assert client.get_order_by_id(resting.id).status is OrderStatus.NEW
    broker.advance(4, "bar")
    filled = client.get_order_by_id(resting.id)
    assert (filled.status, filled.filled_avg_price) == (OrderStatus.FILLED, "89.95")
    assert client.get_all_positions() == []


def test_an_oco_has_its_stop_as_a_leg_and_one_half_cancels_the_other(
    client: Any, broker: Wire
) -> None:
    client.submit_order(ioc())
    order = client.submit_order(oco())
    assert order.legs
    assert order.legs[0].status is OrderStatus.HELD
    broker.advance(4, "bar")
    ended = client.get_order_by_id(order.id, GetOrderByIdRequest(nested=True))
    assert ended.status is OrderStatus.CANCELED
    assert ended.legs
    assert ended.legs[0].status is OrderStatus.FILLED
    assert ended.legs[0].filled_avg_price == "89.95"


def test_cancel_one_and_all(client: Any) -> None:
    client.submit_order(ioc())
    first = client.submit_order(stop())
    client.cancel_order_by_id(first.id)
    assert client.get_order_by_id(first.id).status is OrderStatus.CANCELED
    with pytest.raises(APIError, match='already in \\\\"canceled\\\\" state') as refused:
        client.cancel_order_by_id(first.id)
    assert refused.value.status_code == 422
    second = client.submit_order(oco())
    assert [each.id for each in client.cancel_orders()] == [second.id]
    assert client.get_orders() == []


def test_the_same_client_order_id_again_is_refused(client: Any) -> None:
    client.submit_order(ioc(client_order_id="k81-one"))
    with pytest.raises(APIError) as refused:
        client.submit_order(ioc(client_order_id="k81-one"))
    assert (refused.value.status_code, refused.value.code) == (422, 40010001)


def test_positions_are_listed_found_and_closed(client: Any) -> None:
    client.submit_order(ioc())
    position = client.get_open_position("AAPL")
    assert (position.qty, position.avg_entry_price, position.market_value) == ("6", "100.05", "600")
    assert client.get_open_position(position.asset_id).symbol == "AAPL"
    part = client.close_position("AAPL", ClosePositionRequest(qty="2"))
    assert client.get_order_by_id(part.id).filled_avg_price == "99.95"
    client.submit_order(
        LimitOrderRequest(
            **{**stop().model_dump(), "qty": 4, "limit_price": 120.0, "stop_price": None}
        )
    )
    assert [each.status for each in client.close_all_positions(cancel_orders=True)] == [200]
    assert client.get_all_positions() == []


def test_clock_and_calendar_are_new_yorks(client: Any) -> None:
    clock = client.get_clock()
    assert clock.is_open
    assert clock.timestamp.isoformat() == "2024-01-03T09:35:00-05:00"
    assert clock.next_open.isoformat() == "2024-01-04T09:30:00-05:00"
    assert clock.next_close.isoformat() == "2024-01-03T16:00:00-05:00"
    days = client.get_calendar(
        GetCalendarRequest(start=dt.date(2024, 1, 4), end=dt.date(2024, 1, 8))
    )
    assert [(day.date.day, day.open.hour, day.close.hour) for day in days] == [
        (4, 9, 16),
        (5, 9, 16),
        (8, 9, 16),
    ]


def test_assets(client: Any) -> None:
    assert [each.symbol for each in client.get_all_assets()] == ["AAPL", "IBM"]
    assert client.get_asset("AAPL").tradable


def test_latest_quotes(client: Any, broker: Wire) -> None:
    data: Any = StockHistoricalDataClient(KEY, SECRET, url_override=broker.url)
    quotes = data.get_stock_latest_quote(
        StockLatestQuoteRequest(symbol_or_symbols=["AAPL", "GONE"])
    )
    assert list(quotes) == ["AAPL"]
    assert (quotes["AAPL"].ask_price, quotes["AAPL"].bid_price) == (100.0, 99.99)


def test_orders_are_listed_by_status_time_and_symbol(client: Any) -> None:
    bought = client.submit_order(ioc())
    resting = client.submit_order(oco())

    def ids(**query: Any) -> list[Any]:
        return [each.id for each in client.get_orders(GetOrdersRequest(**query))]

    every, legs = QueryOrderStatus.ALL, [leg.id for leg in resting.legs or []]
    assert ids() == [*legs, resting.id]
    assert ids(nested=True) == [resting.id]
    assert ids(status=QueryOrderStatus.CLOSED) == [bought.id]
    assert ids(status=every, direction="asc", limit=2) == [bought.id, resting.id]
    assert ids(status=every, after=bought.submitted_at, nested=True) == [resting.id]
    assert ids(status=every, until=resting.submitted_at) == [bought.id]
    assert ids(status=every, symbols=["IBM"]) == []


def test_a_market_order_sells_at_the_price_less_slippage(client: Any) -> None:
    client.submit_order(ioc())
    order = client.submit_order(
        MarketOrderRequest(symbol="AAPL", qty=6, side=OrderSide.SELL, time_in_force=TimeInForce.DAY)
    )
    assert client.get_order_by_id(order.id).filled_avg_price == "99.95"


@pytest.fixture
def updates(broker: Wire) -> Iterator[Queue[Any]]:
    """What the trade_updates stream tells, from the moment it listens."""
    heard: Queue[Any] = Queue()
    stream: Any = TradingStream(
        KEY, SECRET, url_override=broker.url.replace("http", "ws") + "/stream"
    )

    async def hear(update: Any) -> None:
        heard.put(update)

    stream.subscribe_trade_updates(hear)
    thread = threading.Thread(target=stream.run, daemon=True)
    thread.start()
    wait_for = threading.Event()
    while not broker("GET", "/sim/state").json()["listeners"]:
        wait_for.wait(0.02)
    yield heard
    stream.stop()
    broker.buy("k81-wake-up")
    thread.join(timeout=10)


def test_trade_updates_tell_every_event_in_order(
    updates: Queue[Any], client: Any, broker: Wire
) -> None:
    broker("POST", "/sim/faults", {"kind": "partial", "shares": 2})
    client.submit_order(ioc())
    client.submit_order(LimitOrderRequest(**{**oco().model_dump(), "qty": 2}))
    broker.advance(4, "bar")
    heard = [updates.get(timeout=10) for _ in range(6)]
    assert [update.event for update in heard] == [
        "new",
        "partial_fill",
        "canceled",
        "new",
        "fill",
        "canceled",
    ]
    partial, fill = heard[1], heard[4]
    assert (partial.price, partial.qty, partial.position_qty) == (100.05, 2.0, 2.0)
    assert (fill.price, fill.qty, fill.position_qty) == (89.95, 2.0, 0.0)
    assert len({update.execution_id for update in heard}) == 6
    assert all(update.timestamp and update.order.symbol == "AAPL" for update in heard)
