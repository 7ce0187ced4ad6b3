"""Faults do what their names say, as often as scheduled, and leave the book as promised."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.runtime.observability.health_server import Server
from tests.unit.sim_broker.bar_table import BarTable
from tests.unit.sim_broker.broker_server import Wire
from tests.unit.sim_broker.trader import CASH


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


def test_faults_waiting_are_told_and_can_be_called_off(faulty: Wire) -> None:
    faulty("POST", "/sim/faults", {"kind": "mute", "times": 3})
    assert [each["kind"] for each in faulty("GET", "/sim/faults").json()] == ["mute"]
    assert faulty("DELETE", "/sim/faults").json() == []
    assert faulty("POST", "/sim/faults", {"kind": "sabotage"}).status_code == 422


def test_outside_tests_no_fault_can_be_ordered() -> None:
    server = Server(create_app(Simulator(Exchange(BarTable(), cash=CASH))), "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{server.port}/sim/faults"
    assert requests.post(url, json={"kind": "refuse"}, timeout=10).status_code == 404
    server.stop()
