"""Bars made up for tests: weekdays in a row, prices that never repeat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np

from shared.domain.market.bars import Bars


def weekdays(start: dt.date, count: int) -> list[dt.date]:
    days = [start + dt.timedelta(days=number) for number in range(count * 2 + 7)]
    return [day for day in days if day.weekday() < 5][:count]


def bar_rows(counts: Mapping[str, int], *, start: dt.date, price: float = 100.0) -> Bars:
    """So many bars of each symbol from `start` on, symbol after symbol in the order given."""
    row = np.repeat(np.arange(len(counts), dtype=np.int32), list(counts.values()))
    days = [day for count in counts.values() for day in weekdays(start, count)]
    close = price + np.arange(row.size) / 100
    return Bars(
        tuple(counts),
        row,
        np.array(days, "datetime64[D]"),
        open=close - 0.25,
        high=close + 1,
        low=close - 1,
        close=close,
        volume=np.arange(row.size) + 1000.0,
    )


def only_sessions(bars: Bars, first: dt.date, last: dt.date) -> Bars:
    return bars.only((bars.session >= np.datetime64(first)) & (bars.session <= np.datetime64(last)))
