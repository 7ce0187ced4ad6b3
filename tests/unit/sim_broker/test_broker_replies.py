"""The broker's answers fit the official OpenAPI files and the recorded errors."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.unit.sim_broker.broker_server import Wire

pytestmark = pytest.mark.slow


@cache
def components(file: Path) -> Any:
    return _nullable(json.loads(file.read_text())["components"])


def _nullable(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable` where JSON Schema says a type of null."""
    if isinstance(node, list):
        return [_nullable(each) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {
        key: _nullable(value) for key, value in node.items() if key not in ("nullable", "example")
    }
    return {"anyOf": [plain, {"type": "null"}]} if node.get("nullable") is True else plain


def problems(file: Path, name: str, value: Any) -> list[str]:
    schema = {"$ref": f"#/components/schemas/{name}", "components": components(file)}
    checker = Draft202012Validator.FORMAT_CHECKER
    found = Draft202012Validator(schema, format_checker=checker).iter_errors(value)
    return [f"{list(error.absolute_path)}: {error.message}" for error in found]


def invented(file: Path, name: str, value: dict[str, Any]) -> set[str]:
    """Fields that the official description does not know."""
    return set(value) - set(
        json.loads(file.read_text())["components"]["schemas"][name]["properties"]
    )


@pytest.fixture
def trading(shared_folder: Path) -> Path:
    return shared_folder / "fixtures/alpaca/openapi_trading_api.json"


@pytest.fixture
def data(shared_folder: Path) -> Path:
    return shared_folder / "fixtures/alpaca/openapi_market_data_api.json"


@pytest.fixture
def held(broker: Wire) -> Wire:
    """With 6 shares under an OCO."""
    broker.advance(2, "open")
    assert broker.buy().status_code == 200
    assert broker.protect().status_code == 200
    return broker


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/orders?status=all", "Order"),
        ("/v2/orders?status=all&nested=true", "Order"),
        ("/v2/orders:by_client_order_id?client_order_id=k81-1", "Order"),
        ("/v2/positions", "Position"),
        ("/v2/positions/AAPL", "Position"),
        ("/v2/account", "Account"),
        ("/v2/account/configurations", "AccountConfigurations"),
        ("/v2/clock", "legacy_clock"),
        ("/v2/calendar", "legacy_calendar_day"),
        ("/v2/assets", "Assets"),
        ("/v2/assets/AAPL", "Assets"),
    ],
)
def test_replies_are_as_the_trading_api_describes_them(
    held: Wire, trading: Path, path: str, name: str
) -> None:
    reply = held("GET", path)
    assert reply.status_code == 200
    values = reply.json() if isinstance(reply.json(), list) else [reply.json()]
    assert values
    for value in values:
        assert problems(trading, name, value) == []
        assert invented(trading, name, value) - {"position_market_value"} == set()


def test_what_is_sent_back_for_new_and_canceled_orders_is_as_described(
    held: Wire, trading: Path
) -> None:
    again = held.buy("k81-2")
    assert problems(trading, "Order", again.json()) == []
    canceled = held("DELETE", "/v2/orders")
    assert canceled.status_code == 207
    assert [problems(trading, "CanceledOrderResponse", each) for each in canceled.json()] == [[]]
    closed = held("DELETE", "/v2/positions")
    assert closed.status_code == 207
    assert [problems(trading, "PositionClosedReponse", each) for each in closed.json()] == [[]]


SCHEDULED = [
    {"kind": "split", "symbol": "AAPL", "new": "2", "session": "2024-01-05"},
    {"kind": "split", "symbol": "IBM", "new": "1", "old": "8", "session": "2024-01-08"},
    {"kind": "rename", "symbol": "IBM", "new_symbol": "BIM", "session": "2024-01-09"},
    {"kind": "spin_off", "symbol": "AAPL", "new_symbol": "PEAR", "session": "2024-01-10"},
    {"kind": "delist", "symbol": "AAPL", "price": "55.5", "session": "2024-01-11"},
    {"kind": "delist", "symbol": "IBM", "session": "2024-01-12"},
]
KINDS = {
    "forward_splits": "forward_split",
    "reverse_splits": "reverse_split",
    "name_changes": "name_change",
    "spin_offs": "spin_off",
    "cash_mergers": "cash_merger",
    "worthless_removals": "worthless_removal",
}


def test_corporate_actions_are_as_the_data_api_describes_them(held: Wire, data: Path) -> None:
    assert held("POST", "/sim/faults", SCHEDULED).status_code == 200
    reply = held("GET", "/v1/corporate-actions", start="2024-01-01", end="2024-12-31").json()
    assert problems(data, "corporate_actions_resp", reply) == []
    assert set(reply["corporate_actions"]) == set(KINDS)
    for group, schema in KINDS.items():
        (row,) = reply["corporate_actions"][group]
        assert problems(data, schema, row) == []
        assert invented(data, schema, row) == set()


def test_activities_are_as_the_trading_api_describes_them(held: Wire, trading: Path) -> None:
    held("POST", "/sim/faults", [{"kind": "transfer", "amount": "-250"}, SCHEDULED[0]])
    held.advance(4, "open")
    rows = held("GET", "/v2/account/activities").json()
    assert [each["activity_type"] for each in rows] == ["SPLIT", "CSW", "FILL"]
    for row in rows:
        schema = "TradingActivities" if row["activity_type"] == "FILL" else "NonTradeActivities"
        assert problems(trading, schema, row) == []
        assert invented(trading, schema, row) == set()


def test_fractional_and_inactive_rows_are_as_described(held: Wire, trading: Path) -> None:
    held("POST", "/sim/faults", [{"kind": "reinvest", "symbol": "AAPL", "qty": "0.25"}])
    (position,) = held("GET", "/v2/positions").json()
    assert (position["qty"], position["qty_available"]) == ("6.25", "0.25")
    assert problems(trading, "Position", position) == []
    held("POST", "/sim/faults", {"kind": "delist", "symbol": "IBM"})
    asset = held("GET", "/v2/assets/IBM").json()
    assert (asset["status"], asset["tradable"]) == ("inactive", False)
    assert problems(trading, "Assets", asset) == []


def test_quotes_are_as_the_data_api_describes_them(held: Wire, data: Path) -> None:
    reply = held("GET", "/v2/stocks/quotes/latest", symbols="AAPL,NONE", feed="iex").json()
    assert problems(data, "stock_latest_quotes_resp", reply) == []
    assert list(reply["quotes"]) == ["AAPL"]
    quote = reply["quotes"]["AAPL"]
    assert (quote["ap"], quote["bp"], quote["t"]) == (100, 99.99, "2024-01-03T14:35:00Z")


def _recorded(shared_folder: Path, name: str) -> tuple[int, Any]:
    reply = json.loads((shared_folder / "fixtures/alpaca" / f"{name}.json").read_text())["response"]
    return reply["status"], reply["body"]


UNKNOWN_ID = "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415"


@pytest.mark.parametrize(
    ("recording", "method", "path", "body"),
    [
        (
            "ex_order_create_422",
            "POST",
            "/v2/orders",
            {
                "symbol": "FACEBOOK",
                "qty": 1,
                "side": "buy",
                "type": "market",
                "time_in_force": "day",
            },
        ),
        (
            "rb_new_order_raises_an_exception_when_required_parameters_are_not_provided",
            "POST",
            "/v2/orders",
            {"symbol": "AAPL", "qty": 5, "side": "buy", "type": "limit", "time_in_force": "day"},
        ),
        ("ex_order_get_not_found_bad_id", "GET", "/v2/orders/fake_id", None),
        ("ex_order_get_not_found_welformed_id", "GET", f"/v2/orders/{UNKNOWN_ID}", None),
        (
            "ex_order_delete_not_found",
            "DELETE",
            "/v2/orders/b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
            None,
        ),
        (
            "ex_order_get_by_client_order_id_failure",
            "GET",
            f"/v2/orders:by_client_order_id?client_order_id={UNKNOWN_ID}",
            None,
        ),
        ("ex_position_get_not_found", "GET", "/v2/positions/F", None),
        ("ex_position_delete_not_found", "DELETE", "/v2/positions/F", None),
        ("ex_asset_get_not_found", "GET", "/v2/assets/FFFFF", None),
    ],
)
def test_errors_are_the_recorded_ones_word_for_word(
    broker: Wire, shared_folder: Path, recording: str, method: str, path: str, body: Any
) -> None:
    status, recorded = _recorded(shared_folder, recording)
    broker.advance(2, "open")
    reply = broker(method, path, body)
    assert (reply.status_code, reply.json()) == (status, recorded)


def test_too_little_money_is_said_with_the_recorded_fields(
    broker: Wire, shared_folder: Path
) -> None:
    status, recorded = _recorded(shared_folder, "ex_order_create_403")
    broker.advance(2, "open")
    reply = broker.buy(qty=1000)
    assert (reply.status_code, reply.json()["code"], set(reply.json())) == (
        status,
        recorded["code"],
        set(recorded),
    )


def test_wrong_keys_are_refused_as_recorded(broker: Wire, shared_folder: Path) -> None:
    status, recorded = _recorded(
        shared_folder, "rb_generic_errors_raises_unauthorizederror_when_status_code_is_401"
    )
    broker.http.headers["APCA-API-SECRET-KEY"] = "wrong"
    for path in ("/v2/account", "/v2/stocks/quotes/latest?symbols=AAPL"):
        reply = broker("GET", path)
        assert (reply.status_code, reply.json()) == (status, recorded)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"qty": "many"}', b'{"symbol": 1}', b"\xff"])
def test_a_body_that_is_no_order_is_a_clean_refusal(broker: Wire, body: bytes) -> None:
    reply = broker.http.post(broker.url + "/v2/orders", data=body, timeout=10)
    assert reply.status_code in (400, 422)
    assert set(reply.json()) == {"code", "message"}


def test_a_market_order_reply_has_the_fields_of_a_recorded_one(
    broker: Wire, shared_folder: Path
) -> None:
    _, recorded = _recorded(
        shared_folder, "r_orders_order_submit_properly_places_an_oco_order_class_3"
    )
    broker.advance(2, "open")
    broker.buy()
    reply = broker.protect().json()
    assert set(recorded) <= set(reply)
    assert set(recorded["legs"][0]) <= set(reply["legs"][0])
    for name in ("order_class", "order_type", "type", "side", "status", "stop_price"):
        assert reply[name] == recorded[name]
        if name != "stop_price":
            assert reply["legs"][0][name] == recorded["legs"][0][name]
