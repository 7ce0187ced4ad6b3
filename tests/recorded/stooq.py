"""Stooq's downloads as far as the product asks them: CSV, and a sentence instead of it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from services.data_fetcher.vendor_registry import VendorPlace
from shared.domain.market.bars import FIELDS
from shared.runtime.clock import ManualClock
from tests.recorded.faults import Recorder
from tests.recorded.market import RecordedMarket
from tests.recorded.replies import day
from tests.recorded.server import serving
from tests.recorded.vendor import RecordedVendor

HEADER = "Date,Open,High,Low,Close,Volume"


def app(market: RecordedMarket) -> Recorder:
    async def download(request: Request) -> Response:
        query = request.query_params
        symbol = query["s"].removesuffix(".us").upper().replace("-", ".")
        first, last = (
            day(f"{text[:4]}-{text[4:6]}-{text[6:]}") for text in (query["d1"], query["d2"])
        )
        columns = market.between(symbol, first, last)
        lists = [columns[name].tolist() for name in ("session", *FIELDS)]
        lines = [",".join(map(str, row)) for row in zip(*lists, strict=True)]
        text = "\r\n".join([HEADER, *lines]) + "\r\n" if lines else "No data"
        return PlainTextResponse(text)

    return Recorder(Starlette(routes=[Route("/q/d/l/", download)]))


def spoil(document: Any, place: int) -> Any:
    lines = document.splitlines(keepends=True)
    day_, _, *rest = lines[place + 1].split(",")
    lines[place + 1] = ",".join([day_, "n/d", *rest])
    return "".join(lines)


def undate(document: Any, place: int) -> Any:
    lines = document.splitlines(keepends=True)
    lines[place + 1] = "," + lines[place + 1].partition(",")[2]
    return "".join(lines)


def recorded(
    market: RecordedMarket, stack: ExitStack, _folder: Path, clock: ManualClock
) -> RecordedVendor:
    server = app(market)
    url = stack.enter_context(serving(server))
    place = VendorPlace(urls={"stooq": url}, clock=clock)
    return RecordedVendor(place, server, spoil=spoil, undate=undate)
