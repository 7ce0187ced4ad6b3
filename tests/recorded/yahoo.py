"""Yahoo's chart pages as far as the product asks them.

Columns with nulls, times of the open, 404 for the unknown.
"""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.data_fetcher.vendor_registry import VendorPlace
from shared.domain.market.bars import FIELDS
from shared.runtime.clock import ManualClock
from tests.recorded.faults import Recorder
from tests.recorded.market import NEW_YORK, RecordedMarket, wall_ms
from tests.recorded.replies import answer
from tests.recorded.server import serving
from tests.recorded.vendor import RecordedVendor

OPENS = dt.time(9, 30)
UNKNOWN = {
    "code": "Not Found",
    "description": "No data found, symbol may be delisted",
}


def app(market: RecordedMarket) -> Recorder:
    async def chart(request: Request) -> Response:
        symbol = request.path_params["symbol"].replace("-", ".")
        if symbol not in market.bars.symbols:
            return answer({"chart": {"result": None, "error": UNKNOWN}}, 404)
        first, last = (
            dt.datetime.fromtimestamp(int(request.query_params[name]), NEW_YORK).date()
            for name in ("period1", "period2")
        )
        columns = market.between(symbol, first, last - dt.timedelta(days=1))
        quote = {name: columns[name].tolist() for name in FIELDS}
        times = [wall_ms(session, OPENS) // 1000 for session in columns["session"].tolist()]
        result = {
            "meta": {"symbol": symbol},
            "timestamp": times,
            "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
        }
        return answer({"chart": {"result": [result], "error": None}})

    return Recorder(Starlette(routes=[Route("/v8/finance/chart/{symbol}", chart)]))


def spoil(document: Any, place: int) -> Any:
    document["chart"]["result"][0]["indicators"]["quote"][0]["open"][place] = None
    return document


def undate(document: Any, place: int) -> Any:
    document["chart"]["result"][0]["timestamp"][place] = None
    return document


def recorded(
    market: RecordedMarket, stack: ExitStack, _folder: Path, clock: ManualClock
) -> RecordedVendor:
    server = app(market)
    url = stack.enter_context(serving(server))
    place = VendorPlace(urls={"yahoo": url}, clock=clock)
    return RecordedVendor(place, server, spoil=spoil, undate=undate)
