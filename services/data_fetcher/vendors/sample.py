"""Real bars without keys: five large stocks, 2000-2013, from the bokeh-sampledata package.

Open, high, low and close are multiplied by adjusted close / close, so splits and dividends leave no false falls.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from services.data_fetcher.selection import selected
from services.data_fetcher.vendor import BarsVendor, VendorPlace
from shared.domain.bars import FIELDS, PRICES, Bars

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")


class Sample:
    basis = "split- and dividend-adjusted"

    def source(self) -> str:
        digest = hashlib.sha256(f"{self.basis}|{'|'.join(SYMBOLS)}".encode())
        for name in ("row", "session", *FIELDS):
            digest.update(getattr(self._bars, name).tobytes())
        return digest.hexdigest()

    def symbols(self) -> tuple[str, ...]:
        return SYMBOLS

    def daily_bars(self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None) -> Bars:
        return selected(self._bars, symbols, start, end)

    @cached_property
    def _bars(self) -> Bars:
        from bokeh_sampledata import stocks

        tables = [getattr(stocks, symbol) for symbol in SYMBOLS]
        column = {name: np.concatenate([np.array(table[name], np.float64) for table in tables]) for name in _COLUMNS}
        factor = column["adj_close"] / column["close"]
        fields = {name: np.round(column[name] * factor, 4) for name in PRICES}
        row = np.repeat(np.arange(len(SYMBOLS), dtype=np.int32), [len(table["date"]) for table in tables])
        session = np.concatenate([np.array(table["date"], "datetime64[D]") for table in tables])
        return Bars(SYMBOLS, row, session, **fields, volume=column["volume"])


_COLUMNS = (*FIELDS, "adj_close")


def bars(place: VendorPlace) -> BarsVendor:
    return Sample()
