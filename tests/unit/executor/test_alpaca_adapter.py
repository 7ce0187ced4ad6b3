"""The Alpaca adapter against a server that misbehaves: every answer in its class, one send."""

from __future__ import annotations

import json
import socket
import threading
import time
from decimal import Decimal
from typing import Any

import pytest

from services.executor.brokers.alpaca.http import MAX_BODY
from services.executor.brokers.protocol import Kind, OrderRequest, SubmitResult
from shared.domain.errors import TransientError
from shared.schemas.values import Side
from tests.unit.executor.alpaca_orders import ORDER, REQUEST, adapter, error
from tests.unit.executor.scripted_server import ScriptedServer, raw, reply, reset, silence, trickle


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ORDER.items() if key != name}


@pytest.mark.parametrize(
    ("act", "fate"),
    [
        (reply(200, ORDER), SubmitResult.ACCEPTED),
        (reply(201, ORDER), SubmitResult.ACCEPTED),
        (reply(400, error(40010000, "bad")), SubmitResult.REJECTED),
        (reply(401, error(40110000, "access key verification failed")), SubmitResult.REJECTED),
        (reply(403, error(40310000, "insufficient buying power")), SubmitResult.REJECTED),
        (reply(422, error(40010001, "could not find asset")), SubmitResult.REJECTED),
        (reply(422, error(40010001, "client_order_id must be unique")), SubmitResult.EXISTS),
        (reply(429, error(42910000, "rate limit"), Retry_After="3"), SubmitResult.NOT_TAKEN),
        (reply(302, {}), SubmitResult.UNKNOWN),
        (reply(404, error(40410000, "not found")), SubmitResult.UNKNOWN),
        (reply(408, {}), SubmitResult.UNKNOWN),
        (reply(409, {}), SubmitResult.UNKNOWN),
        (reply(500, {}), SubmitResult.UNKNOWN),
        (reply(502, b"<html>bad gateway</html>"), SubmitResult.UNKNOWN),
        (reply(503, {}), SubmitResult.UNKNOWN),
        (reply(504, {}), SubmitResult.UNKNOWN),
        (reset, SubmitResult.UNKNOWN),
        (raw(b""), SubmitResult.UNKNOWN),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), SubmitResult.UNKNOWN),
        (raw(b"nonsense\r\n\r\n"), SubmitResult.UNKNOWN),
        (silence, SubmitResult.UNKNOWN),
        (trickle, SubmitResult.UNKNOWN),
    ],
)
def test_an_answer_to_an_order_has_its_class_and_the_order_is_sent_once(
    server: ScriptedServer, act: Any, fate: SubmitResult
) -> None:
    server.script = [act]
    answer = adapter(server.url, post_seconds=0.4).submit(REQUEST)
    assert answer.result is fate
    assert len(server.asked) == 1


BAD_BODIES = {
    "html": b"<html>OK</html>",
    "cut json": json.dumps(ORDER).encode()[:40],
    "NaN": json.dumps(ORDER | {"filled_avg_price": float("nan")}).encode(),
    "NaN as text": json.dumps(ORDER | {"filled_qty": "NaN"}).encode(),
    "infinity as text": json.dumps(
        ORDER | {"filled_qty": "1", "filled_avg_price": "Infinity"}
    ).encode(),
    "no id": json.dumps(without("id")).encode(),
    "no status": json.dumps(without("status")).encode(),
    "wrong symbol": json.dumps(ORDER | {"symbol": "IBM"}).encode(),
    "wrong side": json.dumps(ORDER | {"side": "sell"}).encode(),
    "wrong qty": json.dumps(ORDER | {"qty": "4"}).encode(),
    "wrong client id": json.dumps(ORDER | {"client_order_id": "k81-two"}).encode(),
    "a list": b"[]",
    "fractional shares": json.dumps(ORDER | {"qty": "2.5"}).encode(),
    "10 MiB": b" " * (10 << 20),
    "deep": b"[" * 100_000,
    "empty": b"",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_200_that_is_not_about_our_order_is_unknown(server: ScriptedServer, body: bytes) -> None:
    server.script = [reply(200, body)]
    assert adapter(server.url).submit(REQUEST).result is SubmitResult.UNKNOWN
    assert len(server.asked) == 1


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_look_up_that_makes_no_sense_is_asked_again_later(
    server: ScriptedServer, body: bytes
) -> None:
    server.script = [reply(200, body)]
    broker = adapter(server.url)
    readable = (b'"k81-two"', b'"IBM"', b'"sell"', b'"qty": "4"', b'"qty": "2.5"')
    if any(part in body for part in readable):
        assert broker.order_by_client_id("k81-one") is not None
        return
    with pytest.raises(TransientError):
        broker.order_by_client_id("k81-one")


def test_a_cut_body_is_unknown(server: ScriptedServer) -> None:
    server.script = [
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + json.dumps(ORDER).encode())
    ]
    assert adapter(server.url).submit(REQUEST).result is SubmitResult.UNKNOWN


def test_a_body_of_more_than_a_mebibyte_is_not_read(server: ScriptedServer) -> None:
    server.script = [reply(200, json.dumps(ORDER | {"x": "y" * MAX_BODY}).encode())]
    assert adapter(server.url).submit(REQUEST).result is SubmitResult.UNKNOWN


def test_a_refused_connection_or_an_unknown_host_means_not_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert adapter(f"http://127.0.0.1:{port}").submit(REQUEST).result is SubmitResult.NOT_SENT
    assert adapter("http://no-such-host.invalid").submit(REQUEST).result is SubmitResult.NOT_SENT


def test_a_server_that_speaks_no_tls_means_not_sent(server: ScriptedServer) -> None:
    server.script = [reset]
    answer = adapter(server.url.replace("http://", "https://")).submit(REQUEST)
    assert answer.result is SubmitResult.NOT_SENT
    assert server.asked == []


def test_an_idle_connection_the_server_has_closed_is_noticed_before_anything_is_sent(
    server: ScriptedServer,
) -> None:
    broker = adapter(server.url)
    closed = threading.Event()

    def answer_and_close(connection: socket.socket) -> None:
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")(connection)
        closed.set()

    server.script = [answer_and_close, reply(200, ORDER)]
    broker.positions()
    assert closed.wait(5)
    assert broker.submit(REQUEST).result is SubmitResult.ACCEPTED
    assert server.connections == 2


def test_a_connection_is_kept_between_requests(server: ScriptedServer) -> None:
    broker = adapter(server.url)
    server.script = [reply(200, []), reply(200, ORDER), reply(204, b""), reply(200, ORDER)]
    broker.positions()
    broker.submit(REQUEST)
    broker.cancel("b-1")
    broker.order("b-1")
    assert server.connections == 1
    assert [asked.method for asked in server.asked] == ["GET", "POST", "DELETE", "GET"]


def test_the_bodies_of_orders_are_alpacas(server: ScriptedServer) -> None:
    broker = adapter(server.url)
    server.script = [reply(500, {})] * 3
    broker.submit(REQUEST)
    stop = OrderRequest(
        client_order_id="k81-p",
        symbol="AAPL",
        side=Side.SELL,
        qty=3,
        kind=Kind.STOP,
        stop_price=Decimal("170.00"),
    )
    broker.submit(stop)
    both = OrderRequest(
        client_order_id="k81-q",
        symbol="AAPL",
        side=Side.SELL,
        qty=3,
        kind=Kind.STOP_AND_TARGET,
        stop_price=Decimal("170.00"),
        limit_price=Decimal("205.00"),
    )
    broker.submit(both)
    shared = {"symbol": "AAPL", "qty": "3"}
    assert [asked.body for asked in server.asked] == [
        shared
        | {"client_order_id": "k81-one", "side": "buy", "type": "limit", "time_in_force": "ioc"}
        | {"limit_price": "180.19"},
        shared
        | {"client_order_id": "k81-p", "side": "sell", "type": "stop", "time_in_force": "gtc"}
        | {"stop_price": "170.00"},
        shared
        | {
            "client_order_id": "k81-q",
            "side": "sell",
            "type": "limit",
            "time_in_force": "gtc",
            "order_class": "oco",
        }
        | {"take_profit": {"limit_price": "205.00"}, "stop_loss": {"stop_price": "170.00"}},
    ]


@pytest.mark.parametrize(
    ("message", "halts"),
    [
        ("insufficient buying power", False),
        ("new orders are rejected by user request", True),
        ("us_equity orders not allowed for account", True),
        ("account is blocked", True),
    ],
)
def test_a_refusal_of_the_account_is_told_from_one_of_the_order(
    server: ScriptedServer, message: str, halts: bool
) -> None:
    server.script = [reply(403, error(40310000, message))]
    assert adapter(server.url).submit(REQUEST).halts is halts


def test_the_last_look_comes_when_the_connection_is_open_and_no_byte_has_left(
    server: ScriptedServer,
) -> None:
    connections: list[int] = []

    def look() -> str:
        for _ in range(100):
            if server.connections:
                break
            time.sleep(0.02)
        connections.append(server.connections)
        return "killed meanwhile"

    broker = adapter(server.url)
    answer = broker.submit(REQUEST, last_look=look)
    assert (answer.result, answer.detail) == (SubmitResult.WITHHELD, "killed meanwhile")
    assert (connections, server.asked) == ([1], [])
    server.script = [reply(200, ORDER)]
    assert broker.submit(REQUEST).result is SubmitResult.ACCEPTED
    assert server.connections == 1


@pytest.mark.parametrize(
    ("status", "message", "passes"),
    [
        (403, "insufficient qty available for order (requested: 3, available: 0)", True),
        (403, "potential wash trade detected. use complex orders", True),
        (403, "insufficient buying power", False),
        (422, "stop price must be less than current price", False),
        (403, "account is blocked", False),
    ],
)
def test_a_refusal_that_passes_by_itself_is_told_from_one_that_stays(
    server: ScriptedServer, status: int, message: str, passes: bool
) -> None:
    server.script = [reply(status, error(40310000, message))]
    assert adapter(server.url).submit(REQUEST).passes is passes


def test_a_market_order_waits_no_longer_than_the_day(server: ScriptedServer) -> None:
    server.script = [reply(500, {})]
    leave = OrderRequest(
        client_order_id="k81-m", symbol="AAPL", side=Side.SELL, qty=3, kind=Kind.MARKET
    )
    adapter(server.url).submit(leave)
    assert server.asked[0].body == {
        "client_order_id": "k81-m",
        "symbol": "AAPL",
        "side": "sell",
        "qty": "3",
        "type": "market",
        "time_in_force": "day",
    }
