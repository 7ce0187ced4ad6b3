"""Alpaca's market data.

Raw daily bars, corporate actions, latest quotes; its trading host lists the assets.

The keys of a paper account alone suffice. Quotes may come from the simulated broker too, which
speaks the same. It never trades.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import TypeVar

from services.data_fetcher.bar_columns import (
    NEW_YORK,
    Dated,
    bars_from_rows,
    join_bars,
    with_sessions,
)
from services.data_fetcher.vendor_http.client import QUOTES, VendorClient
from services.data_fetcher.vendor_http.refusals import VENDOR_REFUSES, RequestRefused, Vendor
from services.data_fetcher.vendor_registry import NameChanges, ShareListing, VendorPlace
from services.data_fetcher.wire_formats import alpaca as wire, alpaca_actions as read
from services.data_fetcher.wire_formats.actions import by_date
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.runtime.config.environment import MISSING_KEYS
from shared.schemas import corporate_actions as ca
from shared.schemas.values import Quote

NAME = "alpaca"
VENDOR = Vendor("Alpaca", keys="ALPACA_API_KEY_ID and ALPACA_API_SECRET_KEY")
EARLIEST = dt.date(2016, 1, 4)
"""Alpaca has no bars before 2016."""
QUOTED_TOGETHER, BARS_TOGETHER, ACTIONS_TOGETHER = 200, 25, 200
"""Symbols in one request: 25 of ten years are about seven pages, and their URLs stay short."""
MOST_ROWS, MOST_ACTIONS = 10_000, 1_000
MOST_PAGES = 10_000
"""More than any honest answer has; a token that returns is caught at once."""
REFUSED_PAUSE = 5.0
"""Seconds until quotes are asked for again after the keys were refused.

Someone has to mend them.
"""
LISTED_ON = {"NYSE", "NASDAQ", "AMEX", "BATS"}
"""Exchanges of companies; ARCA lists funds, OTC is no exchange."""
NO_COMPANY = (
    *(" etf", " etn", " fund", " trust", " warrant", " unit", " right", " preferred", " notes"),
    *(" depositary", " depository", " debenture", " acquisition corp"),
)
"""Alpaca does not say what kind a share is: its name has to."""
PROCESS_LAG = dt.timedelta(days=60)
"""Dividends are processed on their pay date, weeks after the ex date.

Splits on it or days later.
"""

PageT = TypeVar("PageT", wire.BarsPage, wire.ActionsPage)


class Alpaca:
    """One account. Thread-safe."""

    def __init__(
        self,
        data: VendorClient,
        trading: VendorClient,
        *,
        quotes_feed: str = "",
        basis: Basis = Basis.RAW,
    ) -> None:
        self.basis = basis
        self._data, self._trading = data, trading
        self._quotes = replace(data, patience=QUOTES)
        self._quotes_feed = quotes_feed

    def source(self) -> str:
        return ""

    def symbols(self) -> tuple[str, ...]:
        return ()

    # --- bars -------------------------------------------------------------------------------------

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        first, last = start or EARLIEST, end or self._today()
        return join_bars(
            part
            for place in range(0, len(symbols), BARS_TOGETHER)
            for part in self._bars_of(symbols[place : place + BARS_TOGETHER], first, last)
        )

    def _bars_of(self, symbols: Sequence[str], first: dt.date, last: dt.date) -> list[Bars]:
        """One symbol that Alpaca finds malformed makes it refuse all it is asked with.

        Then halves are asked.
        """
        try:
            return [self._batch(symbols, first, last)]
        except RequestRefused as error:
            if "symbol" not in str(error):
                raise
            if len(symbols) == 1:
                return []
            half = len(symbols) // 2
            return [
                *self._bars_of(symbols[:half], first, last),
                *self._bars_of(symbols[half:], first, last),
            ]

    def _batch(self, symbols: Sequence[str], first: dt.date, last: dt.date) -> Bars:
        """`asof` ties each symbol to the company that has it on the last day.

        Under its earlier names too.
        """
        query = {
            "symbols": ",".join(symbols),
            "timeframe": "1Day",
            "start": _midnight(first),
            "end": _midnight(last),
            "limit": str(MOST_ROWS),
            "adjustment": "split" if self.basis is Basis.SPLIT else "raw",
            "asof": last.isoformat(),
            "feed": "sip",
        }
        rows: dict[str, list[Dated]] = {symbol: [] for symbol in symbols}
        for page in self._pages(
            "/v2/stocks/bars", query, wire.BarsPage, _describe("bars", symbols)
        ):
            for symbol, raw in (page.bars or {}).items():
                if symbol not in rows:
                    raise UserError(
                        f"Alpaca answers with bars of {symbol}, which it was not asked for.",
                        exit_code=VENDOR_REFUSES,
                    )
                own = with_sessions(wire.rows_of(raw), _session)
                rows[symbol] += own
        return bars_from_rows(rows)

    # --- corporate actions ------------------------------------------------------------------------

    def corporate_actions(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> ca.CorporateActions:
        kinds = f"{read.SPLIT_KINDS},{read.CASH_KINDS}"
        found = list(self._action_pages(symbols, kinds, start, end))
        wanted = set(symbols)

        def is_asked(action: ca.Split | ca.CashDividend) -> bool:
            return action.symbol in wanted and start <= action.ex_date <= end

        splits = {split for page in found for split in read.splits_of(page) if is_asked(split)}
        dividends = {cash for page in found for cash in read.dividends_of(page) if is_asked(cash)}
        return ca.CorporateActions(
            splits=tuple(sorted(splits, key=by_date)),
            dividends=tuple(sorted(dividends, key=by_date)),
        )

    def name_changes(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> NameChanges:
        wanted = set(symbols)
        renames: set[ca.Rename] = set()
        removals: set[ca.Removal] = set()
        for page in self._action_pages(symbols, read.NAME_KINDS, start, end):
            renames |= {
                rename
                for rename in read.renames_of(page)
                if {rename.old, rename.new} & wanted and start <= rename.date <= end
            }
            removals |= {
                removal
                for removal in read.removals_of(page)
                if removal.symbol in wanted and start <= removal.date <= end
            }
        return NameChanges(
            tuple(sorted(renames, key=lambda each: (each.date, each.old))),
            tuple(sorted(removals, key=lambda each: (each.date, each.symbol))),
        )

    def _action_pages(
        self, symbols: Sequence[str], kinds: str, start: dt.date, end: dt.date
    ) -> Iterator[wire.Actions]:
        """Alpaca sorts and cuts by the date it processes them.

        Which may lag the ex date by days.
        """
        for place in range(0, len(symbols), ACTIONS_TOGETHER):
            asked = symbols[place : place + ACTIONS_TOGETHER]
            query = {
                "symbols": ",".join(asked),
                "types": kinds,
                "start": (start - PROCESS_LAG).isoformat(),
                "end": (end + PROCESS_LAG).isoformat(),
                "limit": str(MOST_ACTIONS),
            }
            what = _describe("corporate actions", asked)
            for page in self._pages("/v1/corporate-actions", query, wire.ActionsPage, what):
                yield wire.Actions.of(page.corporate_actions)

    # --- quotes -----------------------------------------------------------------------------------

    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        found: dict[str, Quote] = {}
        for start in range(0, len(symbols), QUOTED_TOGETHER):
            asked = symbols[start : start + QUOTED_TOGETHER]
            try:
                quotes = self._quotes_of(asked)
            except UserError as error:
                raise TransientError(str(error), retry_after=REFUSED_PAUSE) from error
            found |= {quote.symbol: quote for quote in quotes if quote.symbol in asked}
        return found

    def _quotes_of(self, symbols: Sequence[str]) -> list[Quote]:
        """One symbol that Alpaca does not know makes it refuse all it is asked with.

        Then halves are asked.
        """
        query = {"symbols": ",".join(symbols)}
        if self._quotes_feed:
            query["feed"] = self._quotes_feed
        decode = partial(wire.read_reply, kind=wire.QuotesReply)
        what = _describe("quotes", symbols)
        try:
            reply = self._quotes.get("/v2/stocks/quotes/latest", query, decode, what=what)
        except RequestRefused:
            if len(symbols) == 1:
                return []
            half = len(symbols) // 2
            return self._quotes_of(symbols[:half]) + self._quotes_of(symbols[half:])
        return list(_usable_quotes(reply))

    # --- listings ---------------------------------------------------------------------------------

    def listings(self, as_of: dt.date) -> list[ShareListing]:
        """The delisted too.

        Whether they were still listed on a day long ago, their bars must show.
        """
        decode = wire.read_assets
        states = ["active"] if as_of >= self._today() else ["active", "inactive"]
        found = [
            row
            for state in states
            for row in self._trading.get(
                "/v2/assets",
                {"status": state, "asset_class": "us_equity"},
                decode,
                what=f"its {state} assets",
            )
        ]
        listings = {row.symbol: _listing(row) for row in reversed(found) if _is_company(row)}
        return [listings[symbol] for symbol in sorted(listings)]

    def has_options(self, listing: ShareListing, as_of: dt.date) -> str:
        """Alpaca flags what has options, or ever had: it cannot tell the day."""
        return "has_options" if listing.options else ""

    # --- pages ------------------------------------------------------------------------------------

    def _pages(
        self, path: str, query: dict[str, str], kind: type[PageT], what: str
    ) -> Iterator[PageT]:
        """Every page. Raises UserError if they go round in circles."""
        seen: set[str] = set()
        decode = partial(wire.read_reply, kind=kind)
        while True:
            page = self._data.get(path, query, decode, what=what)
            yield page
            token = page.next_page_token
            if not token:
                return
            if token in seen or len(seen) >= MOST_PAGES:
                raise UserError(
                    f"Alpaca's pages of {what} do not come to an end.", exit_code=VENDOR_REFUSES
                )
            seen.add(token)
            query = {**query, "page_token": token}

    def _today(self) -> dt.date:
        return self._data.clock.now().astimezone(NEW_YORK).date()


def quotes(place: VendorPlace) -> Alpaca:
    return _alpaca(place)


def bars(place: VendorPlace) -> Alpaca:
    return _alpaca(place, keys_needed=True)


def actions(place: VendorPlace) -> Alpaca:
    return _alpaca(place, keys_needed=True)


def listings(place: VendorPlace) -> Alpaca:
    return _alpaca(place, keys_needed=True)


def _alpaca(place: VendorPlace, *, keys_needed: bool = False) -> Alpaca:
    """Raises UserError if a key is missing; the simulated broker's quotes need none."""
    keys = {
        "APCA-API-KEY-ID": place.key_id.reveal(),
        "APCA-API-SECRET-KEY": place.secret_key.reveal(),
    }
    if keys_needed and not all(keys.values()):
        raise UserError(
            f"The vendor 'alpaca' needs {VENDOR.keys}; put them into .env, or choose another "
            f"vendor.",
            exit_code=MISSING_KEYS,
        )
    headers = {name: value for name, value in keys.items() if value}
    budget = place.budget_of(NAME, keys["APCA-API-KEY-ID"])
    data = VendorClient(VENDOR, place.data_url, place.clock, headers, budget, place.patience)
    trading = replace(data, url=place.trading_url)
    return Alpaca(data, trading, quotes_feed=place.quotes_feed, basis=place.basis)


# --- from the wire --------------------------------------------------------------------------------


def _describe(what: str, symbols: Sequence[str]) -> str:
    shown = ", ".join(symbols[:3])
    return f"{what} of {shown}" + (f" and {len(symbols) - 3} more" if len(symbols) > 3 else "")


def _midnight(day: dt.date) -> str:
    """A daily bar stands at midnight in New York.

    Asking up to there never asks for the last 15 minutes.
    """
    at = dt.datetime.combine(day, dt.time(), NEW_YORK)
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _session(row: wire.Row) -> dt.date:
    return _new_york_date(row.t)


@lru_cache(maxsize=1 << 15)
def _new_york_date(text: str) -> dt.date:
    at = dt.datetime.fromisoformat(text)
    return at.astimezone(NEW_YORK).date()


def _usable_quotes(reply: wire.QuotesReply) -> Iterator[Quote]:
    """A price of 0 is Alpaca's word for no active quote."""
    for symbol, quote in wire.quotes_of(reply).items():
        seen = _quote(symbol, quote)
        if seen and seen.bid > 0 and seen.ask > 0:
            yield seen


def _quote(symbol: str, quote: wire.QuoteRow) -> Quote | None:
    """None without an instant, or with numbers that no price can have."""
    at = _instant(quote.t)
    try:
        return Quote(symbol=symbol, bid=quote.bp, ask=quote.ap, at=at) if at else None
    except ValueError:
        return None


def _instant(text: str) -> dt.datetime | None:
    """RFC 3339 with up to nine decimals; None for what has no zone or is no time."""
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant.astimezone(dt.UTC) if instant.tzinfo else None


def _is_company(row: wire.AssetRow) -> bool:
    name = f" {row.name.lower()} "
    return row.exchange in LISTED_ON and not any(word in name for word in NO_COMPANY)


def _listing(row: wire.AssetRow) -> ShareListing:
    return ShareListing(
        symbol=row.symbol,
        name=row.name,
        exchange=row.exchange,
        identity=row.id,
        delisted=row.status != "active",
        options="has_options" in row.attributes,
    )
