"""Alpaca's data API, and of its trading API what needs no account, in its wire format.

Bars, actions, quotes, assets.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
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
from tests.recorded.alpaca_actions import uuid_of, written_actions
from tests.recorded.faults import Recorder
from tests.recorded.market import NEW_YORK, Listed, RecordedMarket, midnight
from tests.recorded.replies import Json, answer, cursor, day, query
from tests.recorded.server import serving
from tests.recorded.vendor import RecordedVendor

KEY_ID, SECRET = "PKRECORDED", "a-secret-of-alpaca"
MOST_BARS, USUAL_BARS = 10_000, 1_000
FORBIDDEN_SIP = {"message": "subscription does not permit querying recent SIP data"}
UNAUTHORIZED = {"code": 40110000, "message": "request is not authorized"}
SPREAD = 0.01

Now = Callable[[], dt.datetime]


class Row(msgspec.Struct):
    t: str
    o: float
    h: float
    l: float  # noqa: E741 (the wire's name)
    c: float
    v: int
    n: int
    vw: float


@dataclass
class Alpaca:
    """`sip_delay`: on the free plan SIP data must be this old.

    `now` is what the vendor takes for the present.
    """

    market: RecordedMarket
    now: Now
    key_id: str = KEY_ID
    secret: str = SECRET
    sip_delay: dt.timedelta | None = None
    most_rows: int = MOST_BARS

    def app(self) -> Recorder:
        return Recorder(Keyed(Starlette(routes=self.routes()), self.key_id, self.secret))

    def routes(self) -> list[Route]:
        return [*self.data_routes(), Route("/v2/assets", self._assets), *self._market_routes()]

    def data_routes(self) -> list[Route]:
        return [
            Route("/v2/stocks/bars", self._bars),
            Route("/v2/stocks/quotes/latest", self._quotes),
            Route("/v1/corporate-actions", self._actions),
        ]

    def _market_routes(self) -> list[Route]:
        return [
            Route("/v2/assets/{symbol}", self._asset),
            Route("/v2/calendar", self._calendar),
            Route("/v2/clock", self._clock),
        ]

    # --- bars -------------------------------------------------------------------------------------

    async def _bars(self, request: Request) -> Response:
        values = query(request)
        refused = self._refusal(values)
        if refused:
            return refused
        start, end = _instant(values["start"]), _instant(values.get("end"), self.now())
        limit = min(int(values.get("limit", USUAL_BARS)), self.most_rows)
        symbols = sorted({each for each in values["symbols"].split(",") if each})
        asof = values.get("asof", self.now().astimezone(NEW_YORK).date().isoformat())
        adjusted = values.get("adjustment", "raw") == "split"
        shown, following = self._page(symbols, (start, end), asof, adjusted, limit, values)
        token = cursor({**values, "at": following}) if following else None
        return answer({"bars": shown, "next_page_token": token})

    def _page(
        self,
        symbols: list[str],
        span: tuple[dt.datetime, dt.datetime],
        asof: str,
        adjusted: bool,
        limit: int,
        values: Json,
    ) -> tuple[dict[str, list[Row]], str]:
        """Symbol by symbol, up to `limit` rows in all.

        Where the next page begins, as SYMBOL:ROW.
        """
        from_symbol, _, from_row = values.get("at", ":0").rpartition(":")
        shown: dict[str, list[Row]] = {}
        room = limit
        for symbol in (each for each in symbols if each >= from_symbol):
            rows = self._rows(symbol, span, asof, adjusted)
            skipped = int(from_row) if symbol == from_symbol else 0
            taken = rows[skipped : skipped + room]
            if taken:
                shown[symbol] = taken
            room -= len(taken)
            if skipped + len(taken) < len(rows):
                return shown, f"{symbol}:{skipped + len(taken)}"
        return shown, ""

    def _rows(
        self, symbol: str, span: tuple[dt.datetime, dt.datetime], asof: str, adjusted: bool
    ) -> list[Row]:
        rows = []
        for ticker, first, last in self._names(symbol, asof):
            columns = self.market.between(ticker, first, last)
            if adjusted:
                columns = self.market.split_adjusted(symbol, columns)
            names = ("session", "open", "high", "low", "close", "volume")
            lists = (columns[name].tolist() for name in names)
            for session, o, h, low, c, v in zip(*lists, strict=True):
                at = midnight(session)
                if span[0] <= at <= span[1]:
                    utc = f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
                    rows.append(Row(t=utc, o=o, h=h, l=low, c=c, v=round(v), n=10, vw=c))
        return rows

    def _names(self, symbol: str, asof: str) -> list[tuple[str, dt.date, dt.date]]:
        """The tickers the company of `symbol` on `asof` has traded under, each with its dates.

        Oldest first.
        """
        spans, last = [], dt.date.max
        name = symbol
        while asof != "-" and (
            rename := next(
                (each for each in self.market.renames if each.new == name and each.date <= last),
                None,
            )
        ):
            spans.append((name, rename.date, last))
            name, last = rename.old, rename.date - dt.timedelta(days=1)
        return [(name, dt.date.min, last), *reversed(spans)]

    def _refusal(self, values: Json) -> Response | None:
        for symbol in values.get("symbols", "").split(","):
            if not symbol.replace(".", "").isalnum():
                return answer({"message": f"invalid symbol: {symbol}"}, 400)
        sip = values.get("feed", "sip") == "sip"
        end = _instant(values.get("end"), self.now())
        if self.sip_delay and sip and end > self.now() - self.sip_delay:
            return answer(FORBIDDEN_SIP, 403)
        return None

    async def _quotes(self, request: Request) -> Response:
        """One cent around the last close, as of now."""
        found = {}
        at = f"{self.now().astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        today = self.now().astimezone(NEW_YORK).date()
        for symbol in query(request).get("symbols", "").split(","):
            closes = self.market.between(symbol, dt.date.min, today)["close"]
            if closes.size:
                found[symbol] = quote(float(closes[-1]), at)
        return answer({"quotes": found})

    # --- corporate actions ------------------------------------------------------------------------

    async def _actions(self, request: Request) -> Response:
        values = query(request)
        today = self.now().astimezone(NEW_YORK).date()
        start = day(values["start"]) if "start" in values else today
        end = day(values["end"]) if "end" in values else today
        symbols = {each for each in values.get("symbols", "").split(",") if each}
        types = {each for each in values.get("types", "").split(",") if each}
        found = [
            (kind, row)
            for kind, names, row in written_actions(self.market)
            if start <= dt.date.fromisoformat(row["process_date"]) <= end
            and (not symbols or symbols & names)
            and (not types or kind.removesuffix("s") in types)
        ]
        found.sort(key=lambda each: each[1]["process_date"])
        limit = min(int(values.get("limit", 100)), 1000)
        skipped = int(values.get("skip", "0"))
        shown = found[skipped : skipped + limit]
        more = skipped + limit < len(found)
        body: dict[str, list[Json]] = {}
        for kind, row in shown:
            body.setdefault(kind, []).append(row)
        token = cursor({**values, "skip": str(skipped + limit)}) if more else None
        return answer({"corporate_actions": body, "next_page_token": token})

    # --- trading ----------------------------------------------------------------------------------

    async def _assets(self, request: Request) -> Response:
        values = query(request)
        wanted = values.get("status")
        attributes = {each for each in values.get("attributes", "").split(",") if each}
        rows = [self._asset_row(each) for each in self.market.listings.values()]
        return answer(
            [
                row
                for row in rows
                if wanted in (None, row["status"])
                and (not attributes or attributes & set(row["attributes"]))
            ]
        )

    async def _asset(self, request: Request) -> Response:
        named = request.path_params["symbol"]
        for listed in self.market.listings.values():
            row = self._asset_row(listed)
            if named in (row["symbol"], row["id"]):
                return answer(row)
        return answer({"code": 40410000, "message": f"asset not found for {named}"}, 404)

    def _asset_row(self, listed: Listed) -> Json:
        active = listed.last is None
        exchange = {"XNYS": "NYSE", "XNAS": "NASDAQ", "ARCX": "ARCA"}.get(listed.exchange, "OTC")
        return {
            "id": uuid_of("asset", listed.figi or listed.symbol),
            "class": "us_equity",
            "exchange": exchange,
            "symbol": listed.symbol,
            "name": listed.name or f"{listed.symbol} Common Stock",
            "status": "active" if active else "inactive",
            "tradable": active,
            "marginable": True,
            "shortable": True,
            "easy_to_borrow": True,
            "borrow_status": "easy_to_borrow",
            "fractionable": True,
            "attributes": ["has_options"] if listed.options else [],
        }

    async def _calendar(self, request: Request) -> Response:
        values = query(request)
        start = day(values["start"]) if "start" in values else dt.date.min
        end = day(values["end"]) if "end" in values else dt.date.max
        return answer(
            [
                {
                    "date": each.isoformat(),
                    "open": "09:30",
                    "close": "16:00",
                    "session_open": "0400",
                    "session_close": "2000",
                    "settlement_date": each.isoformat(),
                }
                for each in self.market.days
                if start <= each <= end
            ]
        )

    async def _clock(self, _: Request) -> Response:
        now = self.now().astimezone(NEW_YORK)
        opens = now.replace(hour=9, minute=30, second=0, microsecond=0)
        closes = now.replace(hour=16, minute=0, second=0, microsecond=0)
        is_open = now.date() in self.market.days and opens <= now < closes
        following = next((each for each in self.market.days if each > now.date()), now.date())
        day_after = midnight(following)
        return answer(
            {
                "timestamp": now.isoformat(),
                "is_open": is_open,
                "next_open": (day_after + dt.timedelta(hours=9, minutes=30)).isoformat(),
                "next_close": (
                    closes if is_open else day_after + dt.timedelta(hours=16)
                ).isoformat(),
            }
        )


class Keyed:
    """Lets in who shows both keys in the headers."""

    def __init__(self, app: Any, key_id: str, secret: str) -> None:
        self._app, self._keys = app, (key_id, secret)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            headers = Request(scope).headers
            shown = (headers.get("apca-api-key-id"), headers.get("apca-api-secret-key"))
            if shown != self._keys:
                await answer(UNAUTHORIZED, 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def quote(price: float, at: str) -> Json:
    return {
        "t": at,
        "ax": "V",
        "ap": round(price, 2),
        "as": 100,
        "bx": "V",
        "bp": round(price - SPREAD, 2),
        "bs": 100,
        "c": ["R"],
        "z": "C",
    }


def _instant(text: str | None, otherwise: dt.datetime | None = None) -> dt.datetime:
    """A date is the beginning of that day in UTC, as the real host takes it."""
    if text is None:
        assert otherwise is not None
        return otherwise
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def place_at(url: str, clock: ManualClock) -> VendorPlace:
    """Where a vendor finds the recorded Alpaca, with its keys."""
    return VendorPlace(
        data_url=url,
        trading_url=url,
        key_id=Secret(KEY_ID),
        secret_key=Secret(SECRET),
        clock=clock,
    )


def spoil(document: Any, place: int) -> Any:
    next(iter(document["bars"].values()))[place]["o"] = None
    return document


def undate(document: Any, place: int) -> Any:
    next(iter(document["bars"].values()))[place]["t"] = "yesterday"
    return document


def recorded(
    market: RecordedMarket, stack: ExitStack, _folder: Path, clock: ManualClock
) -> RecordedVendor:
    server = Alpaca(market, clock.now).app()
    place = place_at(stack.enter_context(serving(server)), clock)
    return RecordedVendor(
        place,
        server,
        bars_path="/v2/stocks/bars",
        spoil=spoil,
        undate=undate,
        secrets=(KEY_ID, SECRET),
    )
