"""Real bars without keys: five large stocks, 2000-2013, from the bokeh-sampledata package.

Read by the sample vendor and by research. Open, high, low and close are multiplied by adjusted
close / close, so splits and dividends leave no false falls.
"""

import hashlib

import numpy as np

from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import FIELDS, PRICES, Bars

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
BASIS = Basis.TOTAL
_COLUMNS = (*FIELDS, "adj_close")


def sample_bars() -> Bars:
    """Every bar, by symbol and session, nothing refused yet."""
    from bokeh_sampledata import stocks

    tables = [getattr(stocks, symbol) for symbol in SYMBOLS]
    column = {
        name: np.concatenate([np.array(table[name], np.float64) for table in tables])
        for name in _COLUMNS
    }
    factor = column["adj_close"] / column["close"]
    fields = {name: np.round(column[name] * factor, 4) for name in PRICES}
    row = np.repeat(
        np.arange(len(SYMBOLS), dtype=np.int32), [len(table["date"]) for table in tables]
    )
    session = np.concatenate([np.array(table["date"], "datetime64[D]") for table in tables])
    return Bars(SYMBOLS, row, session, **fields, volume=column["volume"])


def digest_of(bars: Bars) -> str:
    """The digest of the sample's content, which is also that of the sample vendor."""
    digest = hashlib.sha256(f"{BASIS}|{'|'.join(SYMBOLS)}".encode())
    for name in ("row", "session", *FIELDS):
        digest.update(getattr(bars, name).tobytes())
    return digest.hexdigest()
