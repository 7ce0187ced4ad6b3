"""What Alpaca's servers really answered, read by the adapter's parsers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.executor.brokers.alpaca import wire_account, wire_orders
from services.executor.brokers.alpaca.broker import classify
from services.executor.brokers.alpaca.decoding import UnreadableReply
from services.executor.brokers.alpaca.http import HttpReply
from services.executor.brokers.protocol import Kind, OrderRequest, SubmitResult
from shared.domain.trading.orders import status_of
from shared.schemas.values import OrderStatus, Side

REQUEST = OrderRequest(
    client_order_id="k81-x", symbol="X", side=Side.BUY, qty=1, kind=Kind.IMMEDIATE
)


def recordings(folder: Path, method: str, path: str, status: int) -> list[tuple[str, Any]]:
    found = []
    for file in sorted((folder / "fixtures" / "alpaca").glob("*_*.json")):
        recording = json.loads(file.read_text())
        if not isinstance(recording, dict) or "request" not in recording:
            continue
        request, response = recording["request"], recording["response"]
        asked = request["url"].split(".markets")[-1].split("?")[0]
        matches = asked == path or (path.endswith("/*") and asked.startswith(path[:-1]))
        if (request["method"], response["status"]) == (method, status) and matches:
            found.append((file.name, response["body"]))
    return found


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_every_recorded_order_of_shares_is_read_fractions_too(shared_folder: Path) -> None:
    posts = recordings(shared_folder, "POST", "/v2/orders", 200)
    gets = recordings(shared_folder, "GET", "/v2/orders/*", 200)
    read = 0
    for name, order in posts + gets:
        if order["qty"] is None:
            with pytest.raises(UnreadableReply):
                wire_orders.read_order(body(order))
            continue
        view = wire_orders.read_order(body(order))
        assert view.broker_order_id == order["id"], name
        assert view.status is not OrderStatus.UNKNOWN, name
        read += 1
    assert read >= 12


def test_a_recorded_oco_is_one_living_order(shared_folder: Path) -> None:
    name = "r_orders_order_submit_properly_places_an_oco_order_class_3.json"
    order = json.loads((shared_folder / "fixtures" / "alpaca" / name).read_text())["response"][
        "body"
    ]
    view = wire_orders.read_order(body(order))
    assert (int(view.qty), int(view.filled_qty)) == (1, 0)
    assert (view.status, view.stop_lives) == (OrderStatus.ACCEPTED, True)


def test_every_recorded_list_of_orders_is_counted_as_foreign(shared_folder: Path) -> None:
    for name, orders in recordings(shared_folder, "GET", "/v2/orders", 200):
        page = wire_orders.read_orders(body(orders))
        assert (page.ours, page.foreign) == ((), len(orders)), name


def test_every_recorded_position_and_account_is_read(shared_folder: Path) -> None:
    lists = recordings(shared_folder, "GET", "/v2/positions", 200)
    assert sum(len(wire_account.read_positions(body(rows)).rows) for _, rows in lists) >= 4
    for name, position in recordings(shared_folder, "GET", "/v2/positions/*", 200):
        assert wire_account.read_position(body(position)).symbol == position["symbol"], name
    accounts = recordings(shared_folder, "GET", "/v2/account", 200)
    read = [
        wire_account.read_account(body(account))
        for _, account in accounts
        if "account_number" in account
    ]
    assert len(read) >= 3
    assert not any(account.blocked for account in read)


def test_every_recorded_clock_is_read(shared_folder: Path) -> None:
    clocks = recordings(shared_folder, "GET", "/v2/clock", 200)
    assert clocks
    for _, clock in clocks:
        assert wire_account.read_clock(body(clock)).is_open is clock["is_open"]


@pytest.mark.parametrize("status", [403, 422])
def test_every_recorded_refusal_of_an_order_is_a_rejection(
    shared_folder: Path, status: int
) -> None:
    refusals = recordings(shared_folder, "POST", "/v2/orders", status)
    assert refusals
    for name, error in refusals:
        answer = classify(HttpReply(status, {}, body(error)), REQUEST)
        assert (answer.result, answer.halts) == (SubmitResult.REJECTED, False), name
        assert error["message"] in answer.detail


def test_the_quoted_refusals_have_their_class(shared_folder: Path) -> None:
    quoted = json.loads(
        (shared_folder / "fixtures" / "alpaca" / "quoted_error_bodies.json").read_text()
    )
    halting = {}
    for error in quoted:
        answer = classify(HttpReply(error["status"], {}, body(error["body"])), REQUEST)
        assert answer.result is SubmitResult.REJECTED
        halting[error["body"]["message"]] = answer.halts
    assert halting["new orders are rejected by user request"]
    assert halting["us_equity orders not allowed for account"]
    assert not halting["potential wash trade detected. use complex orders"]


def test_the_official_list_of_statuses_is_known(shared_folder: Path) -> None:
    specification = json.loads(
        (shared_folder / "fixtures" / "alpaca" / "openapi_trading_api.json").read_text()
    )
    words = specification["components"]["schemas"]["OrderStatus"]["enum"]
    assert len(words) >= 17
    assert [word for word in words if status_of(word) is OrderStatus.UNKNOWN] == []
