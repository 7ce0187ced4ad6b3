"""Yahoo's chart pages.

Split-adjusted daily bars, without a key. Unofficial: nobody promises anything.

For a look at research, never the truth behind orders: Yahoo rescales history at any time, knows the
delisted badly, and may stop answering. A ticker's history is that of whoever has it today.
"""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import msgspec

from services.data_fetcher.bar_columns import (
    NEW_YORK,
    Dated,
    PlainRow,
    bars_from_rows,
    join_bars,
    number,
    with_sessions,
)
from services.data_fetcher.vendor_http.client import Unreadable, VendorClient
from services.data_fetcher.vendor_http.refusals import NotFound, Vendor
from services.data_fetcher.vendor_registry import VendorPlace
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars

NAME, URL = "yahoo", "https://query1.finance.yahoo.com"
VENDOR = Vendor("Yahoo")
EARLIEST = dt.date(1962, 1, 2)
FIELDS = ("open", "high", "low", "close", "volume")
NO_TRADE = (None, None, None, None, None)


class _Quote(msgspec.Struct):
    """Columns, with null where there was no trade."""

    open: list[Any]
    high: list[Any]
    low: list[Any]
    close: list[Any]
    volume: list[Any]


class _Indicators(msgspec.Struct):
    quote: list[_Quote]


class _Result(msgspec.Struct):
    indicators: _Indicators
    timestamp: list[Any] = []


class _Chart(msgspec.Struct):
    result: list[_Result]


class _Answer(msgspec.Struct):
    chart: _Chart


class _Dated(PlainRow):
    at: int = 0


class Yahoo:
    """Thread-safe."""

    basis = Basis.SPLIT

    def __init__(self, client: VendorClient) -> None:
        self._client = client

    def source(self) -> str:
        return ""

    def symbols(self) -> tuple[str, ...]:
        return ()

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        first, last = start or EARLIEST, end or self._client.clock.now().date()
        return join_bars(
            bars_from_rows({symbol: self._rows(symbol, first, last)}) for symbol in symbols
        )

    def _rows(self, symbol: str, first: dt.date, last: dt.date) -> list[Dated]:
        query = {
            "period1": str(_midnight(first)),
            "period2": str(_midnight(last + dt.timedelta(days=1))),
            "interval": "1d",
        }
        path = f"/v8/finance/chart/{symbol.replace('.', '-')}"
        try:
            rows = self._client.get(path, query, _read, what=f"bars of {symbol}")
        except NotFound:
            return []
        found = with_sessions(rows, _session)
        return [each for each in found if first <= each[0] <= last]


def bars(place: VendorPlace) -> Yahoo:
    """Yahoo turns away what does not name itself as a program."""
    headers = {"User-Agent": "kobe81"}
    budget = place.budget_of(NAME, "")
    url = place.urls.get(NAME, URL)
    return Yahoo(VendorClient(VENDOR, url, place.clock, headers, budget, place.patience))


def _read(body: bytes) -> list[_Dated]:
    try:
        (result,) = msgspec.json.decode(body, type=_Answer).chart.result
        (quote,) = result.indicators.quote
    except (msgspec.MsgspecError, ValueError) as error:
        raise Unreadable(f"it has no bars, {error}") from error
    columns = [getattr(quote, name) for name in FIELDS]
    if any(len(column) != len(result.timestamp) for column in columns):
        raise Unreadable("its columns are of different lengths")
    rows = zip(result.timestamp, *columns, strict=True)
    return [
        _Dated(_price(o), _price(h), _price(low), _price(c), number(v), at)
        for at, o, h, low, c, v in rows
        if isinstance(at, int) and (o, h, low, c, v) != NO_TRADE
    ]


def _price(value: Any) -> float:
    """Yahoo sends prices as 32-bit floats: beyond four decimals there is noise."""
    found = number(value)
    return found if math.isnan(found) else round(found, 4)


def _session(row: _Dated) -> dt.date:
    return dt.datetime.fromtimestamp(row.at, NEW_YORK).date()


def _midnight(day: dt.date) -> int:
    return int(dt.datetime.combine(day, dt.time(), NEW_YORK).timestamp())
