"""What became of the symbols: split, renamed, spun off, halted, delisted; and days without trading.

Kept with the account, so that a restart forgets none of it. `ListedMarket` shows the archive's bars
through it: the exchange trades at the prices of today's share, under today's symbol.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.market_data import MarketData
from shared.schemas.values import Bar, Value

TICK = Decimal("0.0001")


class Listing(Value, frozen=True, kw_only=True):
    """A symbol whose bars are another's, or scaled: its price is that of `source` × `factor`."""

    source: str
    factor: Decimal = Decimal(1)


class Listings(Value, frozen=True, kw_only=True):
    """Symbols that differ from the archive's. `retired` are known and do not trade any more."""

    listed: dict[str, Listing] = {}
    retired: tuple[str, ...] = ()
    halted: tuple[str, ...] = ()
    closures: tuple[dt.date, ...] = ()

    def listing(self, symbol: str) -> Listing:
        return self.listed.get(symbol, Listing(source=symbol))

    def scale(self, symbol: str, factor: Decimal) -> Listings:
        """From now on the symbol's prices are the archive's times another `factor`."""
        now = self.listing(symbol)
        return self._with(symbol, replace(now, factor=now.factor * factor))

    def rename(self, old: str, new: str) -> Listings:
        return self._with(new, self.listing(old)).retire(old)

    def spin_off(self, symbol: str, new: str, *, factor: Decimal) -> Listings:
        """List `new` at `factor` times the price that `symbol` has now."""
        now = self.listing(symbol)
        return self._with(new, replace(now, factor=now.factor * factor))

    def retire(self, symbol: str) -> Listings:
        return replace(self, retired=tuple(sorted({*self.retired, symbol})))

    def halt(self, symbol: str, *, halted: bool) -> Listings:
        others = {each for each in self.halted if each != symbol}
        return replace(self, halted=tuple(sorted(others | ({symbol} if halted else set()))))

    def close(self, session: dt.date) -> Listings:
        return replace(self, closures=tuple(sorted({*self.closures, session})))

    def _with(self, symbol: str, listing: Listing) -> Listings:
        return replace(self, listed={**self.listed, symbol: listing})


class ListedMarket:
    """The archive's market data as the listings show it. Implements MarketData."""

    def __init__(self, archive: MarketData, listings: Callable[[], Listings]) -> None:
        self._archive, self._listings = archive, listings

    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        """None for a symbol that does not trade: unknown, retired, halted, or without a bar."""
        listings = self._listings()
        if symbol in listings.retired or symbol in listings.halted:
            return None
        listing = listings.listing(symbol)
        bar = self._archive.bar(listing.source, session)
        return bar if bar is None or listing.factor == 1 else _scaled_bar(bar, listing.factor)

    def symbols(self) -> Collection[str]:
        """Every symbol that may be traded."""
        listings, archived = self._listings(), self._archive.symbols()
        if not listings.listed and not listings.retired:
            return archived
        return {*archived, *listings.listed}.difference(listings.retired)

    def sessions(self) -> Sequence[dt.date]:
        return self._archive.sessions()


def _scaled_bar(bar: Bar, factor: Decimal) -> Bar:
    low, high = (bar.low * factor).quantize(TICK), (bar.high * factor).quantize(TICK)
    opening, close = (bar.open * factor).quantize(TICK), (bar.close * factor).quantize(TICK)
    return Bar(open=opening, high=high, low=low, close=close)
