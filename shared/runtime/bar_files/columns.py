"""What a column of a file of bars may be called.

One table of names for each thing a bar consists of.

Read by layouts.py. Names are compared without case, spaces and punctuation: `Adj. Close`,
`adj_close` and `adjClose` are one name.
"""

import re
import unicodedata
from enum import StrEnum


class Column(StrEnum):
    """What a column holds."""

    SYMBOL = "symbol"
    DATE = "date"
    TIME = "time"
    OPEN = "open"
    HIGH = "high"
    LOW = "low"
    CLOSE = "close"
    VOLUME = "volume"
    ADJUSTED_CLOSE = "adjusted close"
    SPLIT = "split"
    PRICE_FACTOR = "price factor"
    PERIOD = "period"


PRICE_COLUMNS = (Column.OPEN, Column.HIGH, Column.LOW, Column.CLOSE)
REQUIRED = (Column.DATE, *PRICE_COLUMNS, Column.VOLUME)

NAMES: dict[Column, tuple[str, ...]] = {
    Column.SYMBOL: (
        "symbol ticker T sym tic tickersymbol stocksymbol stockticker actsymbol symbols tickers S",
        "name stock code instrument asset security contract",
    ),
    Column.DATE: (
        "windowstart date dates datetime timestamp session tradedate tradingdate tradingday",
        "dtyyyymmdd",
        "caldt dlycaldt datadate pricedate quotedate sessiondate marketdate asofdate t ts tsevent",
        "time localtime gmttime utctime opentime beginsat day datum fecha index indexlevel0 level0",
        "unnamed0 levell0 level1 indexlevel1",
    ),
    Column.OPEN: (
        "open o openprice openprc dlyopen prcod openingprice priceopen opening eroffnung ouverture",
        "apertura erster first",
    ),
    Column.HIGH: (
        "high h highprice askhi dlyhigh prchd pricehigh hi hoch haut plushaut maximo maximum max",
    ),
    Column.LOW: (
        "low l lowprice bidlo dlylow prcld pricelow lo tief bas plusbas minimo minimum min",
    ),
    Column.CLOSE: (
        "close c closelast closeprice dlyclose prccd closingprice priceclose closing schluss",
        "schlusskurs cloture cierre prc dlyprc last price lastprice zuletzt ultimo dernier",
    ),
    Column.VOLUME: (
        "volume vol v volumeshares cshtrd dlyvol totalvolume sharevolume tradevolume volumen",
        "tradedvolume volumetraded totalvol stuecke",
    ),
    Column.ADJUSTED_CLOSE: ("adjclose adjustedclose closeadj adjusted adjclosing adjustedclosing",),
    Column.SPLIT: ("splitfactor splitcoefficient splitratio split",),
    Column.PRICE_FACTOR: ("cfacpr dlycumfacpr ajexdi",),
    Column.PERIOD: ("per period timeframe interval",),
}
"""In the order in which they are preferred; a later line gives way to an earlier one."""

WORDS = frozenset(
    [
        "exchange",
        "currency",
        "country",
        "sector",
        "industry",
        "subindustry",
        "company",
        "companyname",
        "securityname",
        "type",
        "assetclass",
        "source",
        "vendor",
        "provider",
        "market",
        "mic",
        "isin",
        "cusip",
        "figi",
        "compositefigi",
        "sedol",
        "lei",
        "notes",
        "comment",
        "adjustment",
        "otc",
        "ric",
        "status",
        "tradingstatus",
        "primaryexchange",
        "listingexchange",
    ]
)
"""Columns of words that name no symbol, whatever stands in them."""
IDENTIFIERS = frozenset(
    ["permno", "permco", "gvkey", "iid", "cik", "secid", "instrumentid", "id", "stockid"]
)
"""Columns that tell securities apart, yet give no symbol."""


def normal(name: str) -> str:
    """The name without case, accents and punctuation; Polygon's `T` and `S` keep their case."""
    bare = name.strip().strip("<>")
    if bare in ("T", "S"):
        return bare
    plain = unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]", "", re.sub(r"^\d+[.)]\s*", "", plain.lower()))


def column_names(column: Column) -> tuple[str, ...]:
    """The names of one column, the preferred first."""
    return tuple(name for line in NAMES[column] for name in line.split())


SYMBOL_NAMES = frozenset(NAMES[Column.SYMBOL][0].split())


def is_symbol_name(name: str) -> bool:
    """Whether a column of that name holds symbols and nothing else."""
    return normal(name) in SYMBOL_NAMES
