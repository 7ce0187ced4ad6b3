"""What a file's name says: which symbol it holds, and from when to when, if it does.

Called for files without a column of symbols, and to find a name that contradicts its content.
"""

import datetime as dt
import re
from dataclasses import dataclass

from shared.domain.market.symbols import canonical_symbol

SUFFIXES = re.compile(
    r"(\.(csv|txt|tsv|tab|dat|asc|prn|parquet|pq|parq|feather|arrow|ipc|gz|bz2|xz|zst|zip))+$",
    re.IGNORECASE,
)
COPY = re.compile(r"\s*\(\d+\)$|\s*[-_ ]+copy(\s*\d*)?$|~$", re.IGNORECASE)
"""What a browser or a file manager adds to a second copy."""
CHART_EXPORT = re.compile(r"(?P<exchange>[A-Z]+(_[A-Z]+)?)_(?P<symbol>[A-Z0-9.]+),\s*\S.*")
"""TradingView: `NASDAQ_AAPL, 1D`."""
DAY = r"\d{4}-?\d{2}-?\d{2}"
RANGE = re.compile(rf"(?P<symbol>.+?)[_ -]+(?P<start>{DAY})[_ -]+(to[_ -]+)?(?P<end>{DAY})")
STAMP = re.compile(rf"(?P<symbol>.+?)[_ -]+{DAY}")
STOOQ = re.compile(r"(?P<symbol>.+)[._]us(_d)?", re.IGNORECASE)
DATABASE = re.compile(r"(?:WIKI|EOD|QUANDL|SHARADAR|YAHOO)[-_/](?P<symbol>.+)")
WORDS = frozenset(
    [
        "daily",
        "day",
        "d",
        "data",
        "historical",
        "history",
        "hist",
        "prices",
        "price",
        "quotes",
        "quote",
        "stock",
        "stocks",
        "ohlcv",
        "ohlc",
        "eod",
        "adjusted",
        "unadjusted",
        "adj",
        "raw",
        "full",
        "max",
        "table",
        "bars",
        "bar",
        "csv",
        "yahoo",
        "stooq",
        "polygon",
        "massive",
        "tiingo",
        "alpaca",
        "investing",
        "nasdaq",
        "nyse",
        "compact",
        "export",
        "download",
        "chart",
        "equity",
        "historicaldata",
        "historicalprices",
        "part",
        "file",
        "test",
        "sample",
        "out",
        "input",
        "output",
        "market",
        "all",
        "merged",
        "combined",
        "1d",
        "1day",
        "1y",
        "2y",
        "5y",
        "10y",
        "usd",
    ]
)
"""Words of file names; alone, or in lower case, they are no symbols."""
LONGEST_ROOT = 5
"""US symbols have at most so many letters, so that `prices.csv` names none."""


@dataclass(frozen=True, slots=True)
class FileName:
    """`symbol` is None if the name gives none; `certain` if it can be nothing but a symbol."""

    symbol: str | None
    start: dt.date | None = None
    end: dt.date | None = None
    certain: bool = False


NO_NAME = FileName(None)


def read_name(name: str) -> FileName:
    """What the name of a file says, without its folder."""
    stem = COPY.sub("", SUFFIXES.sub("", name)).strip()
    if match := RANGE.fullmatch(stem):
        return _span_name(match)
    for pattern in (CHART_EXPORT, DATABASE, STOOQ):
        if match := pattern.fullmatch(stem):
            symbol = canonical_symbol(match["symbol"])
            return FileName(symbol, certain=symbol is not None)
    if match := STAMP.fullmatch(stem):
        stem = match["symbol"]
    return _plain(stem)


def _span_name(match: re.Match[str]) -> FileName:
    symbol = _plain(match["symbol"]).symbol
    try:
        start, end = (dt.date.fromisoformat(match[which]) for which in ("start", "end"))
    except ValueError:
        return NO_NAME
    return FileName(symbol, start, end, certain=symbol is not None) if symbol else NO_NAME


def _plain(stem: str) -> FileName:
    """A symbol in capitals as it stands; otherwise what is left without words such as `daily`."""
    whole = canonical_symbol(stem)
    if whole and stem == stem.upper() and stem.lower() not in _PLAIN_WORDS:
        return FileName(whole, certain=True)
    words = [word for word in re.split(r"([_ \-.]+)", stem) if word]
    kept = [word for word in words if word.lower() not in WORDS]
    name = "".join(kept).strip(" _-.")
    symbol = canonical_symbol(name)
    if symbol is None or (name != name.upper() and not _is_listed_root(symbol.split(".")[0])):
        return NO_NAME
    return FileName(symbol, certain=name == name.upper())


def _is_listed_root(root: str) -> bool:
    return len(root) <= LONGEST_ROOT and root.isalpha()


_PLAIN_WORDS = frozenset(
    ["prices", "history", "historical", "download", "export", "quotes", "stocks", "market"]
)
