"""Bars made up for tests: sessions in a row, prices that never repeat."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np

from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between


def trading_days(start: dt.date, count: int) -> list[dt.date]:
    """The first so many exchange sessions from a day on."""
    days = sessions_between(start, start + dt.timedelta(days=2 * count + 9))
    return [day.item() for day in days[:count]]


def bar_rows(counts: Mapping[str, int], *, start: dt.date, price: float = 100.0) -> Bars:
    """So many bars of each symbol from `start` on, symbol after symbol in the order given."""
    row = np.repeat(np.arange(len(counts), dtype=np.int32), list(counts.values()))
    days = [day for count in counts.values() for day in trading_days(start, count)]
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
