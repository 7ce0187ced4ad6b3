"""Latest quotes from Alpaca's market data, or from the simulated broker, which speaks the same.

Asked once per scan for every symbol that scan names. It never trades and never repeats a request by
itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
import requests

from services.data_fetcher.vendor_registry import QuotesVendor, VendorPlace
from shared.domain.errors import TransientError
from shared.schemas.values import Quote

TIMEOUT_SECONDS = (3.05, 5.0)
SYMBOLS_PER_REQUEST = 200


class _Quote(msgspec.Struct, frozen=True):
    ap: Decimal
    bp: Decimal
    t: str


class _Reply(msgspec.Struct, frozen=True):
    quotes: dict[str, _Quote]


_DECODER = msgspec.json.Decoder(_Reply)


class Alpaca:
    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self._url = f"{url}/v2/stocks/quotes/latest"
        self._http = requests.Session()
        self._http.headers.update(headers)

    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Quote]:
        found: dict[str, Quote] = {}
        for start in range(0, len(symbols), SYMBOLS_PER_REQUEST):
            asked = symbols[start : start + SYMBOLS_PER_REQUEST]
            found |= {quote.symbol: quote for quote in self._ask(asked) if quote.symbol in asked}
        return found

    def _ask(self, symbols: Sequence[str]) -> list[Quote]:
        """One symbol that the vendor does not know makes it refuse all it is asked with, so halves are asked then."""
        reply = self._reply(symbols)
        if reply.status_code == 200:
            return list(_quotes(reply.content))
        if len(symbols) == 1:
            return []
        half = len(symbols) // 2
        return self._ask(symbols[:half]) + self._ask(symbols[half:])

    def _reply(self, symbols: Sequence[str]) -> requests.Response:
        """An answer of 200, 400 or 422; TransientError for any other."""
        try:
            reply = self._http.get(
                self._url, params={"symbols": ",".join(symbols)}, timeout=TIMEOUT_SECONDS
            )
        except requests.RequestException as error:
            raise TransientError(
                f"the quotes vendor does not answer: {type(error).__name__}"
            ) from error
        if reply.status_code in (401, 403):
            raise TransientError(
                f"the quotes vendor refuses our keys ({reply.status_code})", retry_after=5.0
            )
        if reply.status_code not in (200, 400, 422):
            raise TransientError(
                f"the quotes vendor answers {reply.status_code}", retry_after=_pause(reply)
            )
        return reply


def _quotes(body: bytes) -> Iterator[Quote]:
    """Those with two sides; a price of 0 is Alpaca's word for no active quote."""
    try:
        reply = _DECODER.decode(body)
    except msgspec.MsgspecError as error:
        raise TransientError(f"the quotes vendor's answer is unreadable: {error}") from error
    for symbol, quote in reply.quotes.items():
        seen = _quote(symbol, quote)
        if seen and seen.bid > 0 and seen.ask > 0:
            yield seen


def _quote(symbol: str, quote: _Quote) -> Quote | None:
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


def _pause(reply: requests.Response) -> float | None:
    after = reply.headers.get("Retry-After", "")
    return min(float(after), 60.0) if after.isdigit() else None


def quotes(place: VendorPlace) -> QuotesVendor:
    keys = {
        "APCA-API-KEY-ID": place.key_id.reveal(),
        "APCA-API-SECRET-KEY": place.secret_key.reveal(),
    }
    return Alpaca(place.data_url, {name: value for name, value in keys.items() if value})
