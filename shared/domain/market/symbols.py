"""Symbols of US shares.

One grammar, and one spelling for each share class however a vendor writes it.

Called where names come in from outside: files, vendors, universes. The one spelling is Alpaca's and
Polygon's: `BRK.B`, `BAC.PRL` (a preferred), `XYZ.WS` (a warrant), `^VIX` (an index).
"""

import re

from shared.schemas.fields import MAX_SYMBOL, SHARE

SYMBOL = re.compile(rf"\^?{SHARE}")
"""What may be traded, and indices, which are only read."""

NOT_AVAILABLE = "N/A"
"""Would read as class A of N, and never is."""
EXCHANGES = (
    "NASDAQ|NYSE|NYSEARCA|NYSEAMERICAN|NYSEMKT|AMEX|ARCA|BATS|CBOE|OTC|OTCMKTS|XNAS|XNYS|ARCX|XASE|"
    "BATS_DLY|NASDAQ_DLY|NYSE_DLY|AMEX_DLY|CBOE_DLY|US"
)
_EXCHANGE = re.compile(rf"(?:{EXCHANGES}):\s*")
_COUNTRY = re.compile(r"[. ](?:US|US EQUITY|UN EQUITY|UW EQUITY|UQ EQUITY)$")
_POLYGON_PREFERRED = re.compile(r"([A-Z]+)p([A-Z])|([A-Z]{2,})p")
"""Polygon's case matters: `BACpL` is a preferred share, `BACPL` would be another company."""
_PREFERRED = re.compile(r"([A-Z]+)(?:[-./ _]P(?:R)?[-./ ]?|\^)([A-Z])")
_CLASS = re.compile(r"(\^?[A-Z][A-Z0-9]*)[-/ _]([A-Z]{1,2})")


def canonical_symbol(text: str) -> str | None:
    """The one spelling of a symbol; None if the text is no symbol."""
    bare = text.strip().removeprefix("$")
    if match := _POLYGON_PREFERRED.fullmatch(bare):
        return _join(match[1] or match[3], f"PR{match[2] or ''}")
    if bare.upper() == NOT_AVAILABLE:
        return None
    upper = _COUNTRY.sub("", _EXCHANGE.sub("", bare.upper().replace("I:", "^"), count=1))
    if match := _PREFERRED.fullmatch(upper):
        return _join(match[1], f"PR{match[2]}")
    if match := _CLASS.fullmatch(upper):
        return _join(match[1], match[2])
    return upper if SYMBOL.fullmatch(upper) and len(upper) <= MAX_SYMBOL else None


def _join(root: str, suffix: str) -> str | None:
    symbol = f"{root}.{suffix}"
    return symbol if SYMBOL.fullmatch(symbol) and len(symbol) <= MAX_SYMBOL else None
