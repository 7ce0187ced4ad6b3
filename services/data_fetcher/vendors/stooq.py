"""Stooq's downloads: daily bars as CSV, without a key. Unofficial: nobody promises anything.

For a look at research, never the truth behind orders: how its prices are adjusted is not
documented, and after some hundred downloads a day it answers with a sentence instead of bars.
"""

import csv
import datetime as dt
import math
from collections.abc import Sequence

from services.data_fetcher.bar_columns import (
    Dated,
    PlainRow,
    bars_from_rows,
    join_bars,
    with_sessions,
)
from services.data_fetcher.vendor_http.client import Unreadable, VendorClient
from services.data_fetcher.vendor_http.refusals import Vendor
from services.data_fetcher.vendor_registry import VendorPlace
from shared.domain.errors import TransientError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars

NAME, URL = "stooq", "https://stooq.com"
VENDOR = Vendor("Stooq")
EARLIEST = dt.date(1962, 1, 2)
HEADER = ["Date", "Open", "High", "Low", "Close", "Volume"]
NOTHING = "No data"
LIMIT = "Exceeded the daily hits limit"
UNTIL_TOMORROW = 6 * 3600.0
"""Seconds: Stooq counts by days and does not say when the next one begins."""


class _Dated(PlainRow):
    day: str = ""


class Stooq:
    """Thread-safe."""

    basis = Basis.UNKNOWN

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
            "s": f"{symbol.replace('.', '-').lower()}.us",
            "d1": f"{first:%Y%m%d}",
            "d2": f"{last:%Y%m%d}",
            "i": "d",
        }
        rows = self._client.get("/q/d/l/", query, _read, what=f"bars of {symbol}")
        found = with_sessions(rows, lambda row: dt.date.fromisoformat(row.day))
        return list(found)


def bars(place: VendorPlace) -> Stooq:
    budget = place.budget_of(NAME, "")
    url = place.urls.get(NAME, URL)
    return Stooq(VendorClient(VENDOR, url, place.clock, {}, budget, place.patience))


def _read(body: bytes) -> list[_Dated]:
    """Raises TransientError when today's downloads are used up.

    Which Stooq says with status 200.
    """
    text = body.decode("utf-8-sig", errors="replace")
    if text.strip() == NOTHING:
        return []
    if text.startswith(LIMIT):
        raise TransientError("Stooq's downloads of today are used up", retry_after=UNTIL_TOMORROW)
    if not text.endswith("\n"):
        raise Unreadable("it breaks off within a line")
    lines = list(csv.reader(text.splitlines()))
    if not lines or lines[0] != HEADER:
        raise Unreadable("its first line does not name the columns of bars")
    return [_row(cells) for cells in lines[1:] if cells]


def _row(cells: list[str]) -> _Dated:
    day, *texts = (cells + [""] * len(HEADER))[: len(HEADER)]
    opening, high, low, close, volume = map(_number, texts)
    return _Dated(opening, high, low, close, volume, day)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
