"""Massive (once Polygon).

Raw daily bars, splits, dividends, renames, listings and options of US stocks.

Few sessions of many symbols are asked for by day (the whole market in one call), everything else by
symbol. An answer on another basis than asked for is refused; unless told otherwise that is raw.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import pairwise
from typing import TypeVar

import msgspec

from services.data_fetcher.bar_columns import (
    NEW_YORK,
    Dated,
    bars_from_rows,
    join_bars,
    with_sessions,
)
from services.data_fetcher.ticker_history import Span, owner_spans
from services.data_fetcher.vendor_http.client import Read, VendorClient
from services.data_fetcher.vendor_http.refusals import VENDOR_REFUSES, NotFound, Vendor
from services.data_fetcher.vendor_registry import NameChanges, ShareListing, VendorPlace
from services.data_fetcher.wire_formats import massive as wire
from services.data_fetcher.wire_formats.actions import action, actions_of, by_date
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.config.environment import MISSING_KEYS
from shared.schemas import corporate_actions as ca

NAME = "massive"
URL = "https://api.massive.com"
VENDOR = Vendor("Massive", keys="MASSIVE_API_KEY")
EARLIEST = dt.date(2003, 9, 10)
"""Massive has no daily bars before."""
MOST_ROWS, MOST_LISTED = 50_000, 1_000
MOST_PAGES = 1_000
"""More than any honest answer has: all tickers ever are about 50 pages."""
SPLITS_A_YEAR, DIVIDENDS_A_YEAR = 1_500, 40_000
"""About so many are announced for the whole market.

What decides between one list and a call a symbol.
"""

RowT = TypeVar("RowT", bound=msgspec.Struct)


class Massive:
    """One account at one address. Thread-safe."""

    def __init__(self, client: VendorClient, basis: Basis = Basis.RAW) -> None:
        self._client, self.basis = client, basis
        self._adjusted = basis is Basis.SPLIT

    def source(self) -> str:
        return ""

    def symbols(self) -> tuple[str, ...]:
        return ()

    # --- bars -------------------------------------------------------------------------------------

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        first, last = start or EARLIEST, end or self._today()
        sessions = sessions_between(first, last).tolist()
        if len(sessions) < len(symbols):
            return join_bars(self._session_bars(session, set(symbols)) for session in sessions)
        return join_bars(self._symbol_bars(symbol, first, last) for symbol in symbols)

    def _session_bars(self, session: dt.date, symbols: set[str]) -> Bars:
        """One session of the whole market, cut down to `symbols`."""
        path = f"/v2/aggs/grouped/locale/us/market/stocks/{session}"
        what = f"all bars of {session}"
        rows: dict[str, list[Dated]] = {}
        for page in self._pages(
            path,
            {"adjusted": _flag(self._adjusted)},
            partial(wire.read_bars, kind=wire.GroupedRow),
            what,
        ):
            self._refuse_other_basis(page, what)
            own = (row for row in page.rows if row.T in symbols)
            for session_of_row, row in with_sessions(own, _session):
                rows.setdefault(row.T, []).append((session_of_row, row))
        return bars_from_rows(rows)

    def _symbol_bars(self, symbol: str, start: dt.date, end: dt.date) -> Bars:
        """The company's bars, under whichever tickers it has had.

        Of others that used them, none.
        """
        rows: list[Dated] = []
        for span in self._spans(symbol, start, end):
            rows += self._ticker_bars(span)
        return bars_from_rows({symbol: rows})

    def _ticker_bars(self, span: Span) -> Iterator[Dated]:
        path = f"/v2/aggs/ticker/{span.ticker}/range/1/day/{span.first}/{span.last}"
        query = {"adjusted": _flag(self._adjusted), "sort": "asc", "limit": str(MOST_ROWS)}
        what = f"bars of {span.ticker}"
        for page in self._pages(path, query, partial(wire.read_bars, kind=wire.AggregateRow), what):
            self._refuse_other_basis(page, what)
            if page.ticker not in ("", span.ticker):
                raise UserError(
                    f"Massive was asked for {what} and answers with those of {page.ticker}.",
                    exit_code=VENDOR_REFUSES,
                )
            yield from with_sessions(page.rows, _session)

    def _refuse_other_basis(self, page: wire.Page[RowT], what: str) -> None:
        if page.adjusted is self._adjusted:
            return
        asked = "split-adjusted" if self._adjusted else "raw"
        said = {True: "split-adjusted", False: "raw", None: "on no basis it names"}[page.adjusted]
        raise UserError(
            f"Massive was asked for {asked} {what} and answers with prices that are {said}; they "
            f"are refused, "
            "for bars of two bases must never mix.",
            exit_code=VENDOR_REFUSES,
        )

    def _spans(self, symbol: str, start: dt.date, end: dt.date) -> list[Span]:
        """Which tickers to ask for, each with its dates: the company's own, oldest first."""
        names = self._names(symbol)
        if names and names[0][0] > start and not self._is_same_before(symbol, names):
            start = names[0][0]
        return owner_spans(symbol, names, start, end)

    def _is_same_before(self, symbol: str, names: Sequence[tuple[dt.date, str]]) -> bool:
        """Whether the first name known was the company's even before it is said to begin.

        Its events may begin later than its history; another company's use of the ticker shows by
        another FIGI.
        """
        first, ticker = names[0]
        own, before = (
            self._figi(symbol, None),
            self._figi(ticker, first - dt.timedelta(days=1)),
        )
        return bool(before) and before == own

    def _figi(self, ticker: str, on: dt.date | None) -> str:
        """What tells this company from others; "" if nobody used the ticker that day."""
        query = {"date": on.isoformat()} if on else {}
        read = partial(wire.read_one, kind=wire.TickerRow)
        try:
            found = self._client.get(
                f"/v3/reference/tickers/{ticker}", query, read, what=f"the ticker {ticker}"
            )
        except NotFound:
            return ""
        return found.composite_figi

    def _names(self, symbol: str) -> list[tuple[dt.date, str]]:
        """(from, ticker) of the company that has this ticker now, oldest first.

        () where nothing is known.
        """
        read = partial(wire.read_one, kind=wire.Events)
        path = f"/vX/reference/tickers/{symbol}/events"
        try:
            found = self._client.get(
                path, {"types": "ticker_change"}, read, what=f"the names of {symbol}"
            )
        except NotFound:
            return []
        changes = [event for event in found.events if event.ticker_change]
        return sorted(
            (date, event.ticker_change.ticker)
            for date, event in with_sessions(
                changes, lambda event: dt.date.fromisoformat(event.date)
            )
            if event.ticker_change
        )

    # --- corporate actions ------------------------------------------------------------------------

    def corporate_actions(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> ca.CorporateActions:
        splits = self._announcements(
            "splits", "execution_date", wire.SplitNotice, symbols, start, end
        )
        dividends = self._announcements(
            "dividends", "ex_dividend_date", wire.DividendRow, symbols, start, end
        )
        return ca.CorporateActions(
            splits=tuple(sorted(actions_of(splits, _split), key=by_date)),
            dividends=tuple(sorted(actions_of(dividends, _dividend), key=by_date)),
        )

    def _announcements(
        self,
        kind: str,
        date: str,
        row: type[RowT],
        symbols: Sequence[str],
        start: dt.date,
        end: dt.date,
    ) -> list[RowT]:
        """From one list of the whole market, or symbol by symbol, whichever is fewer calls."""
        a_year = {"splits": SPLITS_A_YEAR, "dividends": DIVIDENDS_A_YEAR}[kind]
        pages = 1 + a_year * (end - start).days / 365 / MOST_LISTED
        query = {f"{date}.gte": str(start), f"{date}.lte": str(end), "limit": str(MOST_LISTED)}
        asked = [query] if pages < len(symbols) else [{**query, "ticker": each} for each in symbols]
        wanted = set(symbols)
        return [
            each
            for one in asked
            for page in self._pages(
                f"/v3/reference/{kind}", one, partial(wire.read_list, kind=row), kind
            )
            for each in page.rows
            if getattr(each, "ticker", "") in wanted
        ]

    def name_changes(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> NameChanges:
        """One call a symbol, and another for one that its reference does not list as active."""
        renames: list[ca.Rename] = []
        removals: list[ca.Removal] = []
        for symbol in symbols:
            names = self._names(symbol)
            changes = [
                (old, new, date)
                for (_, old), (date, new) in pairwise(names)
                if start <= date <= end and old != new
            ]
            renames += actions_of(changes, _rename)
            delisted = self._delisting_date(symbol)
            if delisted and start <= delisted <= end:
                removals.append(ca.Removal(symbol=symbol, date=delisted, why=ca.Ended.DELISTED))
        return NameChanges(tuple(renames), tuple(removals))

    def _delisting_date(self, symbol: str) -> dt.date | None:
        query = {"ticker": symbol, "active": "false", "market": "stocks"}
        read = partial(wire.read_list, kind=wire.TickerRow)
        for page in self._pages("/v3/reference/tickers", query, read, f"the ticker {symbol}"):
            for row in page.rows:
                if row.delisted_utc:
                    return dt.date.fromisoformat(row.delisted_utc[:10])
        return None

    # --- listings ---------------------------------------------------------------------------------

    def listings(self, as_of: dt.date) -> list[ShareListing]:
        query = {
            "market": "stocks",
            "type": "CS",
            "active": "true",
            "date": as_of.isoformat(),
            "limit": str(MOST_LISTED),
        }
        read = partial(wire.read_list, kind=wire.TickerRow)
        what = f"the common stocks of {as_of}"
        rows = [
            row
            for page in self._pages("/v3/reference/tickers", query, read, what)
            for row in page.rows
        ]
        return sorted(
            (
                ShareListing(
                    symbol=row.ticker,
                    name=row.name,
                    exchange=row.primary_exchange,
                    identity=row.composite_figi,
                    delisted=bool(row.delisted_utc),
                )
                for row in rows
            ),
            key=lambda listing: listing.symbol,
        )

    def has_options(self, listing: ShareListing, as_of: dt.date) -> str:
        query = {
            "underlying_ticker": listing.symbol,
            "as_of": as_of.isoformat(),
            "expired": "false",
            "limit": "1",
        }
        read = partial(wire.read_list, kind=wire.Contract)
        what = f"options on {listing.symbol}"
        page = self._client.get("/v3/reference/options/contracts", query, read, what=what)
        return next((row.ticker for row in page.rows), "")

    # --- pages ------------------------------------------------------------------------------------

    def _pages(
        self, path: str, query: Mapping[str, str], read: Read[wire.Page[RowT]], what: str
    ) -> Iterator[wire.Page[RowT]]:
        """Every page. Raises UserError if they go round in circles."""
        page = self._client.get(path, query, read, what=what)
        seen: set[str] = set()
        yield page
        while page.next_url:
            if page.next_url in seen or len(seen) >= MOST_PAGES:
                raise UserError(
                    f"Massive's pages of {what} do not come to an end.", exit_code=VENDOR_REFUSES
                )
            seen.add(page.next_url)
            page = self._client.follow(page.next_url, read, what=what)
            yield page

    def _today(self) -> dt.date:
        return self._client.clock.now().astimezone(NEW_YORK).date()


def bars(place: VendorPlace) -> Massive:
    return _massive(place)


def actions(place: VendorPlace) -> Massive:
    return _massive(place)


def listings(place: VendorPlace) -> Massive:
    return _massive(place)


def _massive(place: VendorPlace) -> Massive:
    """Raises UserError if there is no key."""
    key = place.massive_key.reveal()
    if not key:
        raise UserError(
            "The vendor 'massive' needs MASSIVE_API_KEY; put it into .env, or choose another "
            "vendor.",
            exit_code=MISSING_KEYS,
        )
    headers = {"Authorization": f"Bearer {key}"}
    budget = place.budget_of(NAME, key)
    url = place.urls.get(NAME, URL)
    client = VendorClient(VENDOR, url, place.clock, headers, budget, place.patience)
    return Massive(client, place.basis)


def _session(row: wire.AggregateRow) -> dt.date:
    """The date in New York.

    Bars of a symbol stand at its midnight, those of a session at its close.
    """
    return _new_york_date(row.t)


@lru_cache(maxsize=1 << 15)
def _new_york_date(milliseconds: int) -> dt.date:
    return dt.datetime.fromtimestamp(milliseconds / 1000, NEW_YORK).date()


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _split(row: wire.SplitNotice) -> ca.Split | None:
    return action(
        ca.Split,
        symbol=row.ticker,
        ex_date=row.execution_date,
        new=row.split_to,
        old=row.split_from,
    )


def _rename(change: tuple[str, str, dt.date]) -> ca.Rename | None:
    return action(ca.Rename, old=change[0], new=change[1], date=change[2])


def _dividend(row: wire.DividendRow) -> ca.CashDividend | None:
    if row.currency != "USD":
        return None
    return action(
        ca.CashDividend, symbol=row.ticker, ex_date=row.ex_dividend_date, amount=row.cash_amount
    )
