import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from services.data_fetcher.vendor_registry import QuotesVendor, VendorPlace, quotes_vendor
from shared.domain.errors import TransientError
from shared.runtime.config.environment import Secret
from tests.servers_http import answering

AT = "2024-01-05T14:35:00.123456789Z"


def quotes(**symbols: Any) -> bytes:
    return json.dumps({"quotes": symbols}).encode()


def quote(ask: float = 180.17, bid: float = 180.16, at: str = AT) -> dict[str, Any]:
    return {
        "ap": ask,
        "as": 3,
        "ax": "V",
        "bp": bid,
        "bs": 2,
        "bx": "V",
        "c": ["R"],
        "t": at,
        "z": "C",
    }


def vendor(url: str, key: str = "k") -> QuotesVendor:
    place = VendorPlace(
        folder=None, data_url=url, key_id=Secret(key), secret_key=Secret("s" if key else "")
    )
    return quotes_vendor("alpaca", place)


def test_a_quote_keeps_its_price_to_the_digit_and_its_own_time() -> None:
    with answering([(200, quotes(AAPL=quote()))]) as server:
        found = vendor(server.url).latest_quotes(["AAPL", "IBM"])
    assert set(found) == {"AAPL"}
    assert (found["AAPL"].bid, found["AAPL"].ask) == (Decimal("180.16"), Decimal("180.17"))
    assert found["AAPL"].at == dt.datetime(2024, 1, 5, 14, 35, 0, 123456, dt.UTC)
    (asked,) = server.requests
    assert asked.path == "/v2/stocks/quotes/latest?symbols=AAPL%2CIBM"
    assert (asked.headers["APCA-API-KEY-ID"], asked.headers["APCA-API-SECRET-KEY"]) == ("k", "s")


def test_without_keys_none_are_sent() -> None:
    with answering([(200, quotes())]) as server:
        vendor(server.url, key="").latest_quotes(["AAPL"])
    assert "APCA-API-KEY-ID" not in server.requests[0].headers


@pytest.mark.parametrize(
    "one_sided",
    [quote(ask=0), quote(bid=0), quote(at="yesterday"), quote(at="2024-01-05T14:35:00")],
)
def test_a_quote_with_one_side_or_no_time_is_none(one_sided: dict[str, Any]) -> None:
    with answering([(200, quotes(AAPL=one_sided, IBM=quote()))]) as server:
        assert set(vendor(server.url).latest_quotes(["AAPL", "IBM"])) == {"IBM"}


def test_a_quote_that_is_none_costs_only_its_own_symbol() -> None:
    strange = (b"7", b"null", b"{}", b'{"ap":"x","bp":1,"t":"2024-01-05T14:35:00Z"}')
    for number, text in enumerate(strange):
        body = quotes(IBM=quote()).replace(b'{"quotes": {', b'{"quotes": {"AAPL": ' + text + b", ")
        with answering([(200, body)]) as server:
            found = vendor(server.url).latest_quotes(["AAPL", "IBM"])
        assert set(found) == {"IBM"}, number


def test_symbols_that_were_not_asked_for_are_left_out() -> None:
    with answering([(200, quotes(AAPL=quote(), TSLA=quote()))]) as server:
        assert set(vendor(server.url).latest_quotes(["AAPL"])) == {"AAPL"}


def test_many_symbols_are_asked_for_in_pages() -> None:
    with answering([(200, quotes(S1=quote())), (200, quotes(S300=quote()))]) as server:
        found = vendor(server.url).latest_quotes([f"S{number}" for number in range(350)])
    assert set(found) == {"S1", "S300"}
    assert len(server.requests) == 2


def test_one_symbol_the_vendor_refuses_does_not_cost_the_others_their_quotes() -> None:
    refusal = (400, b'{"message":"invalid symbol"}')
    answers = [refusal, (200, quotes(A=quote())), refusal, refusal, (200, quotes(D=quote()))]
    with answering(answers) as server:
        assert set(vendor(server.url).latest_quotes(["A", "B", "C", "D"])) <= {"A", "D"}
    assert len(server.requests) == 5


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"quotes":{"A":{"ap":NaN}}}'])
def test_an_unreadable_answer_is_tried_again(body: bytes) -> None:
    with answering([(200, body)]) as server, pytest.raises(TransientError, match="unreadable"):
        vendor(server.url).latest_quotes(["A"])


@pytest.mark.parametrize(
    ("answer", "pause"),
    [
        ((429, b"", {"Retry-After": "7"}), 7.0),
        ((429, b""), 15.0),
        ((503, b""), None),
        ((500, b""), None),
        ((403, b""), 5.0),
    ],
)
def test_a_vendor_in_trouble_is_tried_again_when_it_says(answer: Any, pause: float | None) -> None:
    with answering([answer]) as server, pytest.raises(TransientError) as raised:
        vendor(server.url).latest_quotes(["A"])
    assert raised.value.retry_after == pause


def test_a_vendor_that_is_away_is_tried_again() -> None:
    with pytest.raises(TransientError, match="does not answer"):
        vendor("http://127.0.0.1:9").latest_quotes(["A"])
