"""Faults do what their names say, as often as scheduled, and leave the book as promised."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.runtime.observability.health_server import Server
from tests.unit.sim_broker.bar_table import DAYS, BarTable
from tests.unit.sim_broker.broker_server import Wire
from tests.unit.sim_broker.trader import CASH

pytestmark = pytest.mark.slow


@pytest.fixture
def faulty(broker: Wire) -> Wire:
    broker.advance(2, "open")
    return broker


def accepted(broker: Wire) -> int:
    return int(broker("GET", "/sim/state").json()["orders"])


@pytest.mark.parametrize(
    ("fault", "status", "orders"),
    [
        ({"kind": "refuse", "status": 429, "retry_after": "7"}, 429, 0),
        ({"kind": "refuse", "status": 503}, 503, 0),
        ({"kind": "lose", "status": 504}, 504, 1),
        ({"kind": "garble", "body": "<html>"}, 200, 1),
        ({"kind": "delay", "seconds": 0.05}, 200, 1),
        ({"kind": "delay_answer", "seconds": 0.05}, 200, 1),
    ],
)
def test_an_answer_goes_wrong_with_or_without_an_order_behind_it(
    faulty: Wire, fault: dict[str, Any], status: int, orders: int
) -> None:
    faulty("POST", "/sim/faults", fault)
    reply = faulty.buy()
    assert reply.status_code == status
    assert accepted(faulty) == orders
    assert reply.headers.get("retry-after") == fault.get("retry_after")
    assert (reply.text == "<html>") == (fault["kind"] == "garble")
    assert faulty.buy("k81-next").status_code == 200


@pytest.mark.parametrize(("kind", "orders"), [("cut", 1), ("cut_before", 0)])
def test_a_connection_is_cut_after_or_before_the_order_was_taken(
    faulty: Wire, kind: str, orders: int
) -> None:
    faulty("POST", "/sim/faults", {"kind": kind})
    with pytest.raises(requests.ConnectionError):
        faulty.buy()
    assert accepted(faulty) == orders
    seen = faulty("GET", "/sim/requests").json()[-1]
    assert seen["fault"] == kind


def test_an_order_can_stay_hidden_for_some_look_ups(faulty: Wire) -> None:
    faulty.buy("k81-1")
    faulty("POST", "/sim/faults", {"kind": "hide", "times": 2, "client_order_id": "k81-1"})
    path = "/v2/orders:by_client_order_id?client_order_id=k81-1"
    assert [faulty("GET", path).status_code for _ in range(3)] == [404, 404, 200]


def test_a_fault_can_let_some_pass_and_name_what_it_hits(faulty: Wire) -> None:
    faulty(
        "POST",
        "/sim/faults",
        [{"kind": "refuse", "on": "GET /v2/account", "skip": 1, "times": 2, "status": 500}],
    )
    assert faulty("GET", "/v2/clock").status_code == 200
    assert [faulty("GET", "/v2/account").status_code for _ in range(4)] == [200, 500, 500, 200]


def test_a_symbol_can_be_unquoted(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "unquoted", "symbol": "AAPL"})
    asked = [
        faulty("GET", "/v2/stocks/quotes/latest", symbols="AAPL,IBM").json()["quotes"]
        for _ in range(2)
    ]
    assert [sorted(each) for each in asked] == [["IBM"], ["AAPL", "IBM"]]


def test_trade_updates_can_be_swallowed(faulty: Wire) -> None:
    heard: list[str] = []
    faulty.simulator.subscribe(lambda update: heard.append(update.event))
    faulty("POST", "/sim/faults", {"kind": "mute", "skip": 1})
    faulty.buy()
    faulty.buy("k81-2")
    assert heard == ["new", "new", "fill"]


def test_scheduled_faults_and_events_are_listed_and_cleared_singly_or_all(faulty: Wire) -> None:
    later = {"kind": "transfer", "amount": "5", "session": str(DAYS[4])}
    faulty("POST", "/sim/faults", [{"kind": "mute", "times": 3}, {"kind": "linger"}, later])
    listed = faulty("GET", "/sim/faults").json()
    assert [each["kind"] for each in listed] == ["mute", "linger", "transfer"]
    ids = [each["id"] for each in listed]
    left = faulty("DELETE", f"/sim/faults/{ids[2]}").json()
    assert [each["id"] for each in left] == ids[:2]
    assert faulty("DELETE", f"/sim/faults/{ids[2]}").status_code == 404
    assert [each["kind"] for each in faulty("DELETE", f"/sim/faults/{ids[0]}").json()] == ["linger"]
    assert faulty("DELETE", "/sim/faults").json() == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "sabotage"},
        {"kind": "refuse", "stattus": 500},
        {"kind": "delay"},
        {"kind": "split", "symbol": "NONE", "new": "2"},
        {"kind": "split", "symbol": "AAPL", "new": "two"},
        {"kind": "slow_connect", "seconds": 1},
        {},
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_in_a_sentence(
    faulty: Wire, fault: dict[str, Any]
) -> None:
    reply = faulty("POST", "/sim/faults", fault)
    assert reply.status_code == 422
    assert len(reply.json()["message"]) > 10
    assert faulty("GET", "/sim/faults").json() == []


def test_an_answer_can_come_a_byte_at_a_time(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "trickle", "on": "GET /v2/clock", "seconds": 0.002})
    reply = faulty("GET", "/v2/clock")
    assert reply.json()["is_open"] is True
    assert reply.elapsed.total_seconds() < 5


def test_an_answer_can_be_far_too_long(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "garble", "body": "{}", "size": 2_000_000})
    assert len(faulty.buy().content) == 2_000_000


def test_a_list_of_positions_can_be_empty_though_shares_are_held(faulty: Wire) -> None:
    faulty.buy()
    faulty("POST", "/sim/faults", {"kind": "empty_positions", "times": 2})
    counts = [len(faulty("GET", "/v2/positions").json()) for _ in range(3)]
    assert counts == [0, 0, 1]
    faulty("POST", "/sim/faults", {"kind": "empty_positions"})
    assert faulty("GET", "/v2/positions/AAPL").json()["qty"] == "6"


def test_a_field_of_a_foreign_row_can_be_null(faulty: Wire) -> None:
    faulty.buy()
    faulty("POST", "/sim/faults", {"kind": "hand_trade", "symbol": "IBM"})
    null = {"kind": "set_field", "symbol": "IBM", "field": "avg_entry_price"}
    faulty("POST", "/sim/faults", null)
    rows = {each["symbol"]: each for each in faulty("GET", "/v2/positions").json()}
    assert rows["IBM"]["avg_entry_price"] is None
    assert rows["AAPL"]["avg_entry_price"] == "100.05"


def test_a_field_of_a_quote_or_an_order_can_be_anything(faulty: Wire) -> None:
    quotes = "GET /v2/stocks/quotes/latest"
    faulty(
        "POST", "/sim/faults", {"kind": "set_field", "on": quotes, "symbol": "IBM", "field": "ap"}
    )
    found = faulty("GET", "/v2/stocks/quotes/latest", symbols="AAPL,IBM").json()["quotes"]
    assert (found["IBM"]["ap"], found["AAPL"]["ap"]) == (None, 100)
    status = {"kind": "set_field", "on": "GET /v2/orders", "field": "status", "value": "napping"}
    faulty("POST", "/sim/faults", status)
    faulty.buy()
    assert faulty("GET", "/v2/orders", status="all").json()[0]["status"] == "napping"


@pytest.mark.parametrize(
    ("fault", "bid", "ask"),
    [
        ({"bid": "0", "ask": "0"}, 0, 0),
        ({"bid": "101"}, 101, 100),
        ({"ask": "140"}, 99.99, 140),
    ],
)
def test_a_quote_can_be_empty_crossed_or_wide(
    faulty: Wire, fault: dict[str, str], bid: float, ask: float
) -> None:
    faulty("POST", "/sim/faults", {"kind": "bad_quote", "symbol": "AAPL", **fault})
    quote = faulty("GET", "/v2/stocks/quotes/latest", symbols="AAPL").json()["quotes"]["AAPL"]
    assert (quote["bp"], quote["ap"]) == (bid, ask)


def test_a_quote_can_be_old_and_the_clock_wrong(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "bad_quote", "symbol": "AAPL", "age_seconds": 60})
    faulty("POST", "/sim/faults", {"kind": "clock_skew", "seconds": 300})
    quote = faulty("GET", "/v2/stocks/quotes/latest", symbols="AAPL").json()["quotes"]["AAPL"]
    assert quote["t"] == "2024-01-03T14:34:00Z"
    shown = [faulty("GET", "/v2/clock").json()["timestamp"] for _ in range(2)]
    assert shown == ["2024-01-03T09:40:00-05:00", "2024-01-03T09:35:00-05:00"]


def test_an_order_can_appear_late_in_look_ups_and_lists(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "hide", "seconds": 0.4})
    faulty("POST", "/sim/faults", {"kind": "lose", "status": 504})
    assert faulty.buy("k81-late").status_code == 504
    path = "/v2/orders:by_client_order_id?client_order_id=k81-late"
    assert faulty("GET", path).status_code == 404
    assert faulty("GET", "/v2/orders", status="all").json() == []
    deadline = time.monotonic() + 10
    while faulty("GET", path).status_code == 404:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [each["status"] for each in faulty("GET", "/v2/orders", status="all").json()] == [
        "filled"
    ]


def test_requests_beyond_a_rate_limit_are_refused_with_its_reset(faulty: Wire) -> None:
    used = len(faulty("GET", "/sim/requests").json())
    faulty("POST", "/sim/faults", {"kind": "rate_limit", "per_minute": used + 2})
    replies = [faulty("GET", "/v2/clock") for _ in range(3)]
    assert [each.status_code for each in replies] == [200, 200, 429]
    assert replies[2].json()["code"] == 42910000
    assert int(replies[2].headers["x-ratelimit-reset"]) > 0
    faulty("DELETE", "/sim/faults")
    assert faulty("GET", "/v2/clock").status_code == 200


def test_outside_tests_no_fault_can_be_ordered() -> None:
    server = Server(create_app(Simulator(Exchange(BarTable(), cash=CASH))), "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{server.port}/sim/faults"
    assert requests.post(url, json={"kind": "refuse"}, timeout=10).status_code == 404
    server.stop()
