"""The Alpaca adapter's look-ups: lists, halves of an OCO, limits of requests, proxies' words."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from services.executor.brokers.protocol import SubmitResult
from shared.domain.errors import TransientError
from shared.schemas.values import OrderStatus, TradingSession
from tests.unit.executor.alpaca_orders import ORDER, REQUEST, adapter, error
from tests.unit.executor.scripted_server import ScriptedServer, reply


def test_after_a_429_nothing_leaves_until_the_broker_listens_again(server: ScriptedServer) -> None:
    broker = adapter(server.url)
    server.script = [reply(429, {}, Retry_After="20")]
    answer = broker.submit(REQUEST)
    assert 19 < answer.retry_after <= 20
    again = broker.submit(REQUEST)
    assert (again.result, again.counted) == (SubmitResult.NOT_TAKEN, False)
    with pytest.raises(TransientError) as kept:
        broker.order("b-1")
    assert kept.value.retry_after is not None
    assert len(server.asked) == 1


def test_new_orders_leave_the_reserve_to_look_ups(server: ScriptedServer) -> None:
    broker = adapter(server.url, per_minute=32)
    server.script = [reply(200, ORDER)] * 32
    assert [broker.submit(REQUEST).result for _ in range(3)] == [
        SubmitResult.ACCEPTED,
        SubmitResult.ACCEPTED,
        SubmitResult.NOT_TAKEN,
    ]
    for _ in range(30):
        broker.order("b-1")
    with pytest.raises(TransientError):
        broker.order("b-1")
    assert len(server.asked) == 32


def test_a_404_of_a_proxy_is_not_the_brokers_word(server: ScriptedServer) -> None:
    broker = adapter(server.url)
    server.script = [
        reply(404, b"<html>no route</html>"),
        reply(404, error(40410000, "order not found")),
    ]
    with pytest.raises(TransientError):
        broker.order_by_client_id("k81-one")
    assert broker.order_by_client_id("k81-one") is None


def test_orders_of_others_may_look_as_they_like(server: ScriptedServer) -> None:
    strange = {
        "id": 7,
        "client_order_id": "x",
        "qty": None,
        "notional": "12.5",
        "side": "sell_short",
    }
    server.script = [reply(200, [strange, ORDER, {"client_order_id": None}])]
    listed = adapter(server.url).open_orders()
    assert [order.client_order_id for order in listed.ours] == ["k81-one"]
    assert listed.foreign == 2


def oco(
    parent: str, leg: str, *, parent_filled: str = "0", leg_filled: str = "0"
) -> dict[str, Any]:
    filled = {"filled_avg_price": "100"}
    stop = (
        ORDER
        | {"id": "leg", "client_order_id": "theirs", "status": leg, "filled_qty": leg_filled}
        | filled
    )
    return ORDER | {"status": parent, "filled_qty": parent_filled, "legs": [stop]} | filled


@pytest.mark.parametrize(
    ("order", "status", "filled"),
    [
        (oco("new", "held"), OrderStatus.NEW, 0),
        (oco("held", "new"), OrderStatus.ACCEPTED, 0),
        (oco("canceled", "new"), OrderStatus.NEW, 0),
        (oco("canceled", "filled", leg_filled="3"), OrderStatus.FILLED, 3),
        (oco("filled", "canceled", parent_filled="3"), OrderStatus.FILLED, 3),
        (oco("filled", "held", parent_filled="3"), OrderStatus.FILLED, 3),
        (oco("canceled", "canceled"), OrderStatus.CANCELED, 0),
        (oco("canceled", "something_else"), OrderStatus.UNKNOWN, 0),
    ],
)
def test_the_halves_of_an_oco_are_read_as_one_order(
    server: ScriptedServer, order: dict[str, Any], status: OrderStatus, filled: int
) -> None:
    server.script = [reply(200, order)]
    view = adapter(server.url).order("b-1")
    assert view is not None
    assert (view.status, view.filled_qty, view.broker_order_id) == (status, filled, "b-1")


def test_long_lists_are_read_page_by_page(server: ScriptedServer) -> None:
    broker = adapter(server.url)
    page = [
        ORDER | {"client_order_id": f"k81-{n}", "submitted_at": "2024-01-05T15:00:00Z"}
        for n in range(500)
    ]
    server.script = [reply(200, page), reply(200, page[:2])]
    assert len(broker.open_orders().ours) == 502
    assert "after=2024-01-05T15%3A00%3A00Z" in server.asked[1].path


def test_the_calendar_is_read_in_new_york_time_with_its_half_days(server: ScriptedServer) -> None:
    day = {"session_open": "0400", "session_close": "2000", "settlement_date": "2026-11-30"}
    server.script = [
        reply(
            200,
            [
                {**day, "date": "2026-11-25", "open": "09:30", "close": "16:00"},
                {**day, "date": "2026-11-27", "open": "09:30", "close": "13:00"},
            ],
        )
    ]
    first, last = dt.date(2026, 11, 26), dt.date(2026, 11, 27)
    (half,) = adapter(server.url).sessions(first, last)
    assert half == TradingSession(
        session=last,
        opens_at=dt.datetime(2026, 11, 27, 14, 30, tzinfo=dt.UTC),
        closes_at=dt.datetime(2026, 11, 27, 18, 0, tzinfo=dt.UTC),
    )
    assert server.asked[0].path == "/v2/calendar?start=2026-11-26&end=2026-11-27"


@pytest.mark.parametrize(
    "body", [{}, [{"date": "2026-11-25"}], [{"date": "2026-11-25", "open": "9", "close": "16:00"}]]
)
def test_a_calendar_that_makes_no_sense_is_no_answer(server: ScriptedServer, body: Any) -> None:
    server.script = [reply(200, body)]
    with pytest.raises(TransientError):
        adapter(server.url).sessions(dt.date(2026, 11, 25), dt.date(2026, 11, 25))
