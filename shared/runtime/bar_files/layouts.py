"""The layouts of bars that vendors and exports write, as a table.

A file is told by its columns alone.

Read by headers.py. A new layout is a line here; what a column may be called stands in columns.py.
"""

from dataclasses import dataclass

from shared.domain.market.adjustment import Basis


@dataclass(frozen=True, slots=True)
class Layout:
    """`columns` are the names that tell it apart (columns.normal), `absent` those it never has.

    `basis` is what its prices are, `month_first` how it writes 03/04/2020, where the vendor says
    so.
    """

    name: str
    columns: frozenset[str]
    basis: Basis
    month_first: bool | None = None
    absent: frozenset[str] = frozenset()


def _layout(
    name: str, columns: str, basis: Basis, *, month_first: bool | None = None, absent: str = ""
) -> Layout:
    return Layout(name, frozenset(columns.split()), basis, month_first, frozenset(absent.split()))


LAYOUTS = (
    _layout("Polygon flat file", "ticker windowstart open close high low volume", Basis.RAW),
    _layout("Polygon grouped daily", "T o h l c v t", Basis.UNKNOWN),
    _layout("Alpaca stream", "S o h l c v t", Basis.UNKNOWN),
    _layout("Polygon aggregates", "o h l c v t", Basis.UNKNOWN),
    _layout("Polygon client frame", "timestamp vwap transactions", Basis.UNKNOWN),
    _layout("Alpaca client frame", "timestamp vwap tradecount", Basis.UNKNOWN),
    _layout("CRSP", "prc askhi bidlo openprc", Basis.RAW),
    _layout("CRSP", "dlyprc dlyhigh dlylow dlyopen", Basis.RAW),
    _layout("Compustat", "prccd prchd prcld prcod", Basis.RAW),
    _layout("Tiingo", "adjclose adjopen adjhigh adjlow splitfactor", Basis.RAW),
    _layout("Alpha Vantage, adjusted", "adjustedclose splitcoefficient", Basis.RAW),
    _layout("Quandl WIKI", "adjclose adjopen adjhigh adjlow splitratio", Basis.RAW),
    _layout("Quandl EOD", "adjclose adjopen adjhigh adjlow split", Basis.RAW),
    _layout("Sharadar SEP", "closeadj closeunadj", Basis.SPLIT),
    _layout("EODHD", "date adjustedclose", Basis.RAW),
    _layout("Yahoo Finance", "adjclose dividends stocksplits", Basis.SPLIT),
    _layout("yfinance history", "dividends stocksplits", Basis.TOTAL),
    _layout("Yahoo Finance", "adjclose", Basis.SPLIT),
    _layout("Nasdaq.com", "date closelast", Basis.SPLIT, month_first=True),
    _layout("Investing.com", "date price vol change", Basis.SPLIT),
    _layout("Stooq bulk", "ticker per date time openint", Basis.TOTAL),
    _layout("MetaStock ASCII", "ticker per dtyyyymmdd", Basis.UNKNOWN),
    _layout("MetaStock ASCII", "ticker dtyyyymmdd", Basis.UNKNOWN),
    _layout(
        "all_stocks_5yr",
        "date open high low close volume name",
        Basis.SPLIT,
        absent="symbol ticker",
    ),
    _layout("plain columns", "", Basis.UNKNOWN),
)
WIDE = Layout("yfinance", frozenset(), Basis.TOTAL)
"""Fields and symbols in the header.

Without an adjusted close the prices are adjusted themselves.
"""
WIDE_SPLIT = Layout("yfinance", frozenset(), Basis.SPLIT)
LEAN = Layout("LEAN", frozenset(), Basis.RAW)


def layout_of(names: frozenset[str]) -> Layout:
    """The first layout that fits; the last one fits always."""
    return next(
        layout for layout in LAYOUTS if layout.columns <= names and not layout.absent & names
    )
