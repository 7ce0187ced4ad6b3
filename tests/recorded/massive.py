"""Massive's REST API as far as the product asks it, in its wire format.

Aggregates, grouped daily, reference data.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.data_fetcher.vendor_registry import VendorPlace
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import Secret
from tests.recorded.faults import Recorder
from tests.recorded.market import RecordedMarket, wall_ms
from tests.recorded.replies import Json, answer, day, page, query, within
from tests.recorded.server import serving
from tests.recorded.vendor import RecordedVendor

KEY = "a-key-of-massive"
MOST_BARS, USUAL_BARS = 50_000, 5_000
UNKNOWN_KEY = {"status": "ERROR", "request_id": "r", "error": "Unknown API Key"}
NOT_ENTITLED = {
    "status": "NOT_AUTHORIZED",
    "request_id": "r",
    "message": "Your plan doesn't include this data timeframe. Please upgrade your plan.",
}


class Row(msgspec.Struct):
    v: float
    vw: float
    o: float
    c: float
    h: float
    l: float  # noqa: E741 (the wire's name)
    t: int
    n: int


class GroupedRow(Row):
    T: str


@dataclass
class Massive:
    """`history_from`: the plan's first day; asking for earlier ones is answered with 403."""

    market: RecordedMarket
    key: str = KEY
    history_from: dt.date | None = None

    def app(self) -> Recorder:
        routes = [
            Route("/v2/aggs/ticker/{ticker}/range/1/day/{start}/{end}", self._range),
            Route("/v2/aggs/grouped/locale/us/market/stocks/{date}", self._grouped),
            Route("/v3/reference/tickers", self._tickers),
            Route("/v3/reference/tickers/{ticker}", self._ticker),
            Route("/vX/reference/tickers/{ticker}/events", self._events),
            Route("/v3/reference/options/contracts", self._contracts),
            Route("/v3/reference/splits", self._splits),
            Route("/v3/reference/dividends", self._dividends),
        ]
        return Recorder(_Keyed(Starlette(routes=routes), self.key))

    # --- bars -------------------------------------------------------------------------------------

    async def _range(self, request: Request) -> Response:
        ticker, values = request.path_params["ticker"], query(request)
        start, end = day(request.path_params["start"]), day(request.path_params["end"])
        if self.history_from and start < self.history_from:
            return answer(NOT_ENTITLED, 403)
        adjusted = values.get("adjusted", "true").lower() == "true"
        rows = self._rows(ticker, start, end, adjusted)
        if values.get("sort") == "desc":
            rows.reverse()
        limit = min(int(values.get("limit", USUAL_BARS)), MOST_BARS)
        shown, following = page(rows, values, limit)
        body: Json = {
            "ticker": ticker,
            "queryCount": len(shown),
            "resultsCount": len(shown),
            "adjusted": adjusted,
            "results": shown,
            "status": "OK",
            "request_id": "r",
        }
        if not shown:
            del body["results"]
        if following:
            path = f"/v2/aggs/ticker/{ticker}/range/1/day/{start}/{end}"
            body["next_url"] = f"{_origin(request)}{path}?cursor={following}"
        return answer(body)

    def _rows(self, ticker: str, start: dt.date, end: dt.date, adjusted: bool) -> list[Row]:
        columns = self.market.between(ticker, start, end)
        if adjusted:
            columns = self.market.split_adjusted(ticker, columns)
        lists = {name: column.tolist() for name, column in columns.items()}
        return [
            Row(v=v, vw=c, o=o, c=c, h=h, l=low, t=wall_ms(session, dt.time()), n=10)
            for session, o, h, low, c, v in zip(
                *(lists[name] for name in ("session", "open", "high", "low", "close", "volume")),
                strict=True,
            )
        ]

    async def _grouped(self, request: Request) -> Response:
        session, values = day(request.path_params["date"]), query(request)
        if self.history_from and session < self.history_from:
            return answer(NOT_ENTITLED, 403)
        adjusted = values.get("adjusted", "true").lower() == "true"
        rows = self._day(session, adjusted)
        body: Json = {
            "queryCount": len(rows),
            "resultsCount": len(rows),
            "adjusted": adjusted,
            "results": rows,
            "status": "OK",
            "request_id": "r",
        }
        if not rows:
            del body["results"]
        return answer(body)

    def _day(self, session: dt.date, adjusted: bool) -> list[GroupedRow]:
        bars, places = self.market.bars, self.market.by_day.get(session)
        if places is None:
            return []
        t = wall_ms(session, dt.time(16))
        rows = []
        for place in places.tolist():
            ticker = bars.symbols[bars.row[place]]
            if adjusted:
                (row,) = self._rows(ticker, session, session, adjusted=True)
                rows.append(GroupedRow(T=ticker, **msgspec.structs.asdict(row)))
                continue
            o, h, low, c, v = (
                float(column[place])
                for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
            )
            rows.append(GroupedRow(T=ticker, v=v, vw=c, o=o, c=c, h=h, l=low, t=t, n=10))
        return rows

    # --- reference --------------------------------------------------------------------------------

    async def _tickers(self, request: Request) -> Response:
        values = query(request)
        on = day(values["date"]) if "date" in values else self.market.days[-1]
        active = values.get("active", "true").lower() == "true"
        found = [
            _listing(each, on)
            for each in sorted(self.market.listings.values(), key=lambda each: each.symbol)
            if each.first <= on
            and (each.last is None or each.last > on) is active
            and values.get("type", each.kind) == each.kind
            and values.get("ticker", each.symbol) == each.symbol
        ]
        return self._reference(request, values, found, "/v3/reference/tickers", 100)

    async def _ticker(self, request: Request) -> Response:
        listed = self.market.listings.get(request.path_params["ticker"])
        if listed is None:
            body = {"status": "NOT_FOUND", "request_id": "r", "message": "Ticker not found."}
            return answer(body, 404)
        found = _listing(listed, self.market.days[-1]) | {"list_date": listed.first.isoformat()}
        return answer({"status": "OK", "request_id": "r", "results": found})

    async def _events(self, request: Request) -> Response:
        ticker = request.path_params["ticker"]
        listed = self.market.listings.get(ticker)
        if listed is None:
            body = {"status": "NOT_FOUND", "request_id": "r", "message": "Ticker not found."}
            return answer(body, 404)
        changes = [(rename.date, rename.new) for rename in self._names_before(ticker)]
        first = self._names_before(ticker)
        origin = first[-1].old if first else ticker
        changes.append((listed.first, origin))
        events = [
            {
                "type": "ticker_change",
                "event_type": "ticker_change",  # so in the description, `type` in its example
                "date": date.isoformat(),
                "ticker_change": {"ticker": name},
            }
            for date, name in changes
        ]
        results = {"name": listed.name, "composite_figi": listed.figi, "events": events}
        return answer({"status": "OK", "request_id": "r", "results": results})

    def _names_before(self, ticker: str) -> list[Any]:
        """The renames that led to this ticker, latest first."""
        led = []
        while rename := next((each for each in self.market.renames if each.new == ticker), None):
            led.append(rename)
            ticker = rename.old
        return led

    async def _contracts(self, request: Request) -> Response:
        values = query(request)
        listed = self.market.listings.get(values.get("underlying_ticker", ""))
        found = []
        if listed and listed.options:
            expiry = day(values["as_of"]) if "as_of" in values else self.market.days[-1]
            found = [_contract(listed.symbol, expiry + dt.timedelta(days=30))]
        return self._reference(request, values, found, "/v3/reference/options/contracts", 10)

    async def _splits(self, request: Request) -> Response:
        values = query(request)
        found = [
            {
                "id": f"S{number}",
                "execution_date": split.ex_date.isoformat(),
                "split_from": float(split.old),
                "split_to": float(split.new),
                "ticker": split.symbol,
            }
            for number, split in enumerate(sorted(self.market.splits, key=lambda s: s.ex_date))
            if within(split.ex_date, values, "execution_date")
            and values.get("ticker", split.symbol) == split.symbol
        ]
        return self._reference(request, values, found, "/v3/reference/splits", 10)

    async def _dividends(self, request: Request) -> Response:
        values = query(request)
        found = [
            {
                "id": f"D{number}",
                "cash_amount": float(dividend.amount),
                "currency": "USD",
                "dividend_type": "CD",
                "ex_dividend_date": dividend.ex_date.isoformat(),
                "frequency": 4,
                "ticker": dividend.symbol,
            }
            for number, dividend in enumerate(
                sorted(self.market.dividends, key=lambda d: d.ex_date)
            )
            if within(dividend.ex_date, values, "ex_dividend_date")
            and values.get("ticker", dividend.symbol) == dividend.symbol
        ]
        return self._reference(request, values, found, "/v3/reference/dividends", 10)

    def _reference(
        self,
        request: Request,
        values: Mapping[str, str],
        found: list[Json],
        path: str,
        usual: int,
    ) -> Response:
        limit = min(int(values.get("limit", usual)), 1000)
        shown, following = page(found, values, limit)
        body: Json = {"results": list(shown), "status": "OK", "request_id": "r"}
        if path.endswith("tickers"):
            body["count"] = len(shown)
        if following:
            body["next_url"] = f"{_origin(request)}{path}?cursor={following}"
        return answer(body)


class _Keyed:
    """Lets in who shows the key, in the header or, as Massive allows, in the query."""

    def __init__(self, app: Starlette, key: str) -> None:
        self._app, self._key = app, key

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = Request(scope)
            shown = request.headers.get("authorization", "").removeprefix("Bearer ")
            if self._key not in (shown, request.query_params.get("apiKey")):
                await answer(UNKNOWN_KEY, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _listing(listed: Any, on: dt.date) -> Json:
    active = listed.last is None or listed.last > on
    found: Json = {
        "ticker": listed.symbol,
        "name": listed.name or listed.symbol,
        "market": "stocks",
        "locale": "us",
        "primary_exchange": listed.exchange,
        "type": listed.kind,
        "active": active,
        "currency_name": "usd",
        "last_updated_utc": f"{on}T00:00:00Z",
    }
    if listed.figi:
        found |= {"composite_figi": listed.figi, "share_class_figi": listed.figi}
    if not active:
        found["delisted_utc"] = f"{listed.last}T00:00:00Z"
    return found


def _contract(symbol: str, expiry: dt.date) -> Json:
    return {
        "cfi": "OCASPS",
        "contract_type": "call",
        "exercise_style": "american",
        "expiration_date": expiry.isoformat(),
        "primary_exchange": "BATO",
        "shares_per_contract": 100,
        "strike_price": 50,
        "ticker": f"O:{symbol}{expiry:%y%m%d}C00050000",
        "underlying_ticker": symbol,
    }


def spoil(document: Any, place: int) -> Any:
    document["results"][place]["o"] = "12.5"
    return document


def undate(document: Any, place: int) -> Any:
    del document["results"][place]["t"]
    return document


def recorded(
    market: RecordedMarket, stack: ExitStack, _folder: Path, clock: ManualClock
) -> RecordedVendor:
    server = Massive(market).app()
    url = stack.enter_context(serving(server))
    place = VendorPlace(urls={"massive": url}, massive_key=Secret(KEY), clock=clock)
    return RecordedVendor(
        place, server, bars_path="/v2/aggs/ticker", spoil=spoil, undate=undate, secrets=(KEY,)
    )
