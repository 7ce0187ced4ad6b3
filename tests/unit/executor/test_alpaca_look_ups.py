"""The Alpaca adapter's look-ups: lists, halves of an OCO, limits of requests, proxies' words."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
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
    assert (view.status, int(view.filled_qty), view.broker_order_id) == (status, filled, "b-1")


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


# --- rows that make no sense ---

POSITION = {"symbol": "AAPL", "qty": "3", "avg_entry_price": "180.1", "side": "long"}


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (POSITION | {"symbol": "IBM", "qty": None}, "IBM"),
        (POSITION | {"symbol": "IBM", "avg_entry_price": None}, "IBM"),
        (POSITION | {"symbol": "IBM", "qty": "NaN"}, "IBM"),
        (POSITION | {"symbol": "IBM", "current_price": "Infinity"}, "IBM"),
        (POSITION | {"symbol": "IBM", "qty": "1" * 60}, "IBM"),
        ({"symbol": None, "qty": "1"}, "?"),
        ("nonsense", "?"),
    ],
)
def test_a_position_that_makes_no_sense_costs_its_own_row_alone(
    server: ScriptedServer, row: Any, name: str
) -> None:
    server.script = [reply(200, [row, POSITION])]
    listed = adapter(server.url).positions()
    assert [view.symbol for view in listed.rows] == ["AAPL"]
    assert listed.unreadable == (name,)


def test_positions_may_be_fractions_short_or_no_shares_at_all(server: ScriptedServer) -> None:
    rows = [
        POSITION | {"qty": "3.123456789"},
        POSITION | {"symbol": "IBM", "qty": "-2", "side": "short"},
        POSITION | {"symbol": "BTC/USD", "qty": "0.000000001"},
        POSITION | {"symbol": "AAPL250117C00200000", "qty": "1"},
    ]
    server.script = [reply(200, rows)]
    listed = adapter(server.url).positions()
    assert [str(view.qty) for view in listed.rows] == ["3.123456789", "-2", "1E-9", "1"]


def test_an_order_of_ours_that_makes_no_sense_is_named(server: ScriptedServer) -> None:
    server.script = [reply(200, [ORDER | {"filled_qty": None}, ORDER | {"client_order_id": "x"}])]
    listed = adapter(server.url).open_orders()
    assert (listed.ours, listed.unreadable, listed.foreign) == ((), ("k81-one",), 1)


@pytest.mark.parametrize("header", ["NaN", "nan", "Infinity", "-inf", "soon", "1e999"])
def test_a_pause_that_is_no_number_is_a_short_one(server: ScriptedServer, header: str) -> None:
    server.script = [reply(429, {}, Retry_After=header)]
    assert 0 < adapter(server.url).submit(REQUEST).retry_after <= 60


def test_what_others_have_traded_is_added_up_without_our_own(server: ScriptedServer) -> None:
    def theirs(side: str, qty: str, at: str, **changes: Any) -> dict[str, Any]:
        filled = {"side": side, "filled_qty": qty, "filled_at": at, "client_order_id": "hand"}
        return ORDER | filled | changes

    leg = theirs("sell", "2", "2024-01-05T16:00:00Z")
    rows = [
        theirs("sell", "3", "2024-01-05T16:00:00Z"),
        theirs("buy", "0.5", "2024-01-05T16:00:00Z"),
        theirs("sell", "9", "2024-01-05T14:00:00Z"),
        theirs("sell", "7", "2024-01-05T16:00:00Z", client_order_id="k81-one"),
        theirs("sell", "0", "2024-01-05T16:00:00Z", legs=[leg]),
        theirs("sell", "NaN", "2024-01-05T16:00:00Z"),
        {"side": None},
    ]
    server.script = [reply(200, rows)]
    since = dt.datetime(2024, 1, 5, 15, 0, tzinfo=dt.UTC)
    assert adapter(server.url).foreign_executions("AAPL", since) == Decimal("-4.5")
    assert "symbols=AAPL" in server.asked[0].path


def test_a_position_asked_by_itself_that_is_not_there_is_none(server: ScriptedServer) -> None:
    server.script = [reply(404, error(40410000, "position does not exist"))]
    assert adapter(server.url).position("AAPL") is None


# --- corporate actions ---

ACTIONS = {
    "forward_splits": [
        {"symbol": "AAPL", "new_rate": 2, "old_rate": 1, "ex_date": "2024-01-08"},
        {"symbol": "IBM", "new_rate": 0, "old_rate": 1, "ex_date": "2024-01-08"},
        {"symbol": "IBM", "new_rate": None, "ex_date": "2024-01-08"},
    ],
    "reverse_splits": [
        {
            "symbol": "OLD",
            "new_symbol": "NEW",
            "new_rate": 1,
            "old_rate": 8,
            "ex_date": "2024-01-08",
        }
    ],
    "stock_dividends": [{"symbol": "T", "rate": 0.05, "ex_date": "2024-01-08"}],
    "name_changes": [{"old_symbol": "FB", "new_symbol": "META", "process_date": "2024-01-08"}],
    "cash_mergers": [{"acquiree_symbol": "X", "rate": 5.37, "effective_date": "2024-01-08"}],
    "worthless_removals": [{"symbol": "W", "process_date": "2024-01-08"}],
    "spin_offs": [{"source_symbol": "S", "new_symbol": "SP", "ex_date": "2024-01-08"}],
}


def test_announced_corporate_actions_are_read_kind_by_kind(server: ScriptedServer) -> None:
    server.script = [reply(200, {"corporate_actions": ACTIONS, "next_page_token": None})]
    day = dt.date(2024, 1, 8)
    found = adapter(server.url, data_url=server.url).corporate_actions(["AAPL", "FB"], day, day)
    assert [(each.symbol, each.ratio) for each in found.splits] == [
        ("AAPL", Decimal(2)),
        ("OLD", Decimal("0.125")),
        ("T", Decimal("1.05")),
    ]
    assert [(each.old, each.new) for each in found.renames] == [("OLD", "NEW"), ("FB", "META")]
    assert [(each.symbol, each.why.value) for each in found.removals] == [
        ("X", "merged"),
        ("W", "worthless"),
    ]
    assert [(each.symbol, each.new) for each in found.spin_offs] == [("S", "SP")]
    assert "symbols=AAPL%2CFB" in server.asked[0].path


@pytest.mark.parametrize("act", [reply(404, {}), reply(200, b"<html>"), reply(200, [])])
def test_without_an_answer_about_corporate_actions_there_is_a_transient_error(
    server: ScriptedServer, act: Any
) -> None:
    server.script = [act]
    day = dt.date(2024, 1, 8)
    with pytest.raises(TransientError):
        adapter(server.url, data_url=server.url).corporate_actions(["AAPL"], day, day)
