"""The recorded vendors against what is official.

Their OpenAPI files, where they are, and their own clients.
"""

from __future__ import annotations

import datetime as dt
import json
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from massive import RESTClient

from shared.domain.market.sessions import sessions_between
from shared.schemas.corporate_actions import CashDividend, Ended, Removal, Rename, Split
from tests.recorded import alpaca, massive
from tests.recorded.market import Listed, RecordedMarket, walks
from tests.recorded.server import serving

with warnings.catch_warnings():  # of a library that the official client still uses in its old form
    warnings.simplefilter("ignore")
    from alpaca.data.enums import Adjustment
    from alpaca.data.historical import StockHistoricalDataClient
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.requests import (
        CorporateActionsRequest,
        StockBarsRequest,
        StockLatestQuoteRequest,
    )
    from alpaca.data.timeframe import TimeFrame
    from alpaca.trading.client import TradingClient
    from alpaca.trading.requests import GetAssetsRequest, GetCalendarRequest

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 12, 31)
EX_DATE = dt.date(2020, 8, 31)
MARKET = RecordedMarket(
    walks(("AAPL", "BRK.B", "FB", "META"), sessions_between(FIRST, LAST).tolist(), seed=5),
    splits=(
        Split(symbol="AAPL", ex_date=EX_DATE, new=Decimal(4), old=Decimal(1)),
        Split(symbol="FB", ex_date=dt.date(2020, 3, 3), new=Decimal(1), old=Decimal(8)),
    ),
    dividends=(CashDividend(symbol="AAPL", ex_date=dt.date(2020, 5, 8), amount=Decimal("0.82")),),
    renames=(Rename(old="FB", new="META", date=dt.date(2020, 6, 9)),),
    removals=(
        Removal(symbol="FB", date=dt.date(2020, 12, 2), why=Ended.WORTHLESS),
        Removal(symbol="BRK.B", date=dt.date(2020, 12, 3), why=Ended.MERGED),
    ),
    listed=(Listed("META", figi="BBG-META"), Listed("OLD", last=dt.date(2020, 11, 2))),
)
NOW = dt.datetime(2020, 12, 31, 20, tzinfo=dt.UTC)
ALPACA_KEYS = {"APCA-API-KEY-ID": alpaca.KEY_ID, "APCA-API-SECRET-KEY": alpaca.SECRET}


@pytest.fixture(scope="module")
def urls() -> Iterator[dict[str, str]]:
    recorded_alpaca = alpaca.Alpaca(MARKET, lambda: NOW, most_rows=300).app()
    with ExitStack() as stack:
        yield {
            "massive": stack.enter_context(serving(massive.Massive(MARKET).app())),
            "alpaca": stack.enter_context(serving(recorded_alpaca)),
        }


# --- official descriptions ------------------------------------------------------------------------

MASSIVE_ROUTES = {
    "/v2/aggs/ticker/AAPL/range/1/day/2020-01-02/2020-02-03?limit=5": (
        "/v2/aggs/ticker/{stocksTicker}/range/{multiplier}/{timespan}/{from}/{to}"
    ),
    "/v2/aggs/grouped/locale/us/market/stocks/2020-01-03?adjusted=false": (
        "/v2/aggs/grouped/locale/us/market/stocks/{date}"
    ),
    "/v3/reference/tickers?date=2020-12-01&limit=2": "/v3/reference/tickers",
    "/v3/reference/tickers/META": "/v3/reference/tickers/{ticker}",
    "/vX/reference/tickers/META/events": "/vX/reference/tickers/{id}/events",
    "/v3/reference/options/contracts?underlying_ticker=AAPL": "/v3/reference/options/contracts",
    "/v3/reference/splits": "/v3/reference/splits",
    "/v3/reference/dividends": "/v3/reference/dividends",
}
DATA, TRADING = "openapi_market_data_api.json", "openapi_trading_api.json"
ALPACA_ROUTES = {
    "/v2/stocks/bars?symbols=AAPL,BRK.B&timeframe=1Day&start=2020-01-02&limit=3": (
        DATA,
        "/v2/stocks/bars",
    ),
    "/v2/stocks/quotes/latest?symbols=AAPL,META": (DATA, "/v2/stocks/quotes/latest"),
    "/v1/corporate-actions?start=2020-01-01&end=2020-12-31": (DATA, "/v1/corporate-actions"),
    "/v2/assets": (TRADING, "/v2/assets"),
    "/v2/assets/AAPL": (TRADING, "/v2/assets/{symbol_or_asset_id}"),
    "/v2/calendar?start=2020-02-03&end=2020-02-10": (TRADING, "/v2/calendar"),
    "/v2/clock": (TRADING, "/v2/clock"),
}


def described(file: Path, path: str) -> Draft202012Validator:
    document = json.loads(file.read_text())
    answer = document["paths"][path]["get"]["responses"]["200"]
    while "$ref" in answer:
        answer = resolve(document, answer["$ref"])
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator(without_nullable({**document, "allOf": [schema]}))


def resolve(document: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def without_nullable(value: Any) -> Any:
    """OpenAPI 3.0's `nullable`, which JSON Schema does not know, as a choice."""
    if isinstance(value, list):
        return [without_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    plain = {name: without_nullable(item) for name, item in value.items() if name != "nullable"}
    return {"anyOf": [plain, {"type": "null"}]} if value.get("nullable") is True else plain


@pytest.mark.parametrize("asked", MASSIVE_ROUTES)
def test_massive_s_answers_are_as_its_description_says(
    urls: dict[str, str], shared_folder: Path, asked: str
) -> None:
    headers = {"Authorization": f"Bearer {massive.KEY}"}
    reply = requests.get(urls["massive"] + asked, headers=headers, timeout=5)
    assert reply.status_code == 200
    file = shared_folder / "fixtures/polygon/openapi_massive_rest.json"
    described(file, MASSIVE_ROUTES[asked]).validate(reply.json())


@pytest.mark.parametrize("asked", ALPACA_ROUTES)
def test_alpaca_s_answers_are_as_its_descriptions_say(
    urls: dict[str, str], shared_folder: Path, asked: str
) -> None:
    reply = requests.get(urls["alpaca"] + asked, headers=ALPACA_KEYS, timeout=5)
    assert reply.status_code == 200
    name, path = ALPACA_ROUTES[asked]
    described(shared_folder / "fixtures/alpaca" / name, path).validate(reply.json())


# --- official clients -----------------------------------------------------------------------------


# Their own types are unions of everything an endpoint may answer: here only values are looked at.


@pytest.fixture(scope="module")
def polygon(urls: dict[str, str]) -> Any:
    return RESTClient(massive.KEY, base=urls["massive"])


def test_massive_s_own_client_reads_bars_over_all_pages(polygon: Any) -> None:
    rows = list(polygon.list_aggs("AAPL", 1, "day", "2020-01-02", "2020-12-31", limit=50))
    expected = MARKET.split_adjusted("AAPL", MARKET.between("AAPL", FIRST, LAST))
    assert [row.close for row in rows] == expected["close"].tolist()
    raw = list(polygon.list_aggs("AAPL", 1, "day", "2020-01-02", "2020-12-31", adjusted=False))
    assert [row.close for row in raw] == MARKET.between("AAPL", FIRST, LAST)["close"].tolist()


def test_massive_s_own_client_reads_the_reference(polygon: Any) -> None:
    day = polygon.get_grouped_daily_aggs("2020-03-03", adjusted=False)
    assert [row.ticker for row in day] == ["AAPL", "BRK.B", "FB", "META"]
    listed = [each.ticker for each in polygon.list_tickers(type="CS", limit=2)]
    assert listed == ["AAPL", "BRK.B", "FB", "META"]
    splits = [(each.ticker, each.split_to) for each in polygon.list_splits(limit=1)]
    assert splits == [("FB", 1), ("AAPL", 4)]
    assert [each.cash_amount for each in polygon.list_dividends("AAPL")] == [0.82]
    contracts = list(polygon.list_options_contracts("AAPL"))
    assert [each.underlying_ticker for each in contracts] == ["AAPL"]


def test_alpaca_s_own_client_reads_bars_over_all_pages(urls: dict[str, str]) -> None:
    client: Any = StockHistoricalDataClient(
        alpaca.KEY_ID, alpaca.SECRET, url_override=urls["alpaca"]
    )
    request = StockBarsRequest(
        symbol_or_symbols=["AAPL", "META"],
        timeframe=TimeFrame.Day,
        start=dt.datetime(2020, 1, 2, tzinfo=dt.UTC),
        end=dt.datetime(2020, 12, 31, 12, tzinfo=dt.UTC),
        adjustment=Adjustment.RAW,
    )
    found = client.get_stock_bars(request)
    assert [bar.close for bar in found["AAPL"]] == MARKET.between("AAPL", FIRST, LAST)[
        "close"
    ].tolist()
    assert len(found["META"]) == 253


def test_alpaca_s_own_client_reads_quotes_actions_assets_and_calendar(urls: dict[str, str]) -> None:
    keys = (alpaca.KEY_ID, alpaca.SECRET)
    quotes: Any = StockHistoricalDataClient(*keys, url_override=urls["alpaca"])
    quote = quotes.get_stock_latest_quote(StockLatestQuoteRequest(symbol_or_symbols="AAPL"))
    assert quote["AAPL"].ask_price > quote["AAPL"].bid_price > 0
    actions: Any = CorporateActionsClient(*keys, url_override=urls["alpaca"])
    found = actions.get_corporate_actions(CorporateActionsRequest(start=FIRST, end=LAST)).data
    assert [each.symbol for each in found["forward_splits"]] == ["AAPL"]
    assert [each.new_symbol for each in found["name_changes"]] == ["META"]
    trading: Any = TradingClient(*keys, paper=True, url_override=urls["alpaca"])
    names = [asset.symbol for asset in trading.get_all_assets(GetAssetsRequest())]
    assert sorted(names) == ["AAPL", "BRK.B", "FB", "META", "OLD"]
    days = trading.get_calendar(GetCalendarRequest(start=FIRST, end=dt.date(2020, 1, 6)))
    assert [day.date for day in days] == [FIRST, dt.date(2020, 1, 3), dt.date(2020, 1, 6)]
    assert trading.get_clock().is_open
