"""RSI-2 AND IBS: the signals of RSI-2 that IBS gives too, on the same session, symbol and side.

Run by the signal-engine on live scans and by research on the same arrays. Entry, stop, time stop,
score and signal exit are RSI-2's.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.strategies import ibs, rsi2
from shared.strategies.parameters import Fraction, Multiple, Percent, Period, Price

NAME = "rsi2_and_ibs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    rsi_period: Period = 2
    sma_period: Period = 200
    atr_period: Period = 14
    atr_stop_mult: Multiple = 2.0
    time_stop_bars: Period = 5
    long_entry: Percent = 10.0
    short_entry: Percent = 90.0
    long_exit: Percent = 70.0
    short_exit: Percent = 30.0
    ibs_long_entry: Fraction = 0.2
    ibs_short_entry: Fraction = 0.8
    min_price: Price = 5.0
    allow_shorts: bool = True


def warmup(params: Params) -> int:
    """Own bars needed before the first that may signal."""
    return max(rsi2.warmup(_rsi2(params)), ibs.warmup(_ibs(params)))


def signals(panel: Panel, params: Params) -> SignalTable:
    """Every bar on which both agree."""
    table, other = rsi2.signals(panel, _rsi2(params)), ibs.signals(panel, _ibs(params))
    ours, theirs = _keys(table, panel), _keys(other, panel)
    place = np.searchsorted(theirs, ours)
    both = np.append(theirs, -1)[place] == ours
    agreed = table.only(both)
    indicators = {**agreed.indicators, "ibs": other.indicators["ibs"][place[both]]}
    return replace(agreed, indicators=indicators, reason=f"{table.reason}, and {other.reason}")


def _keys(table: SignalTable, panel: Panel) -> NDArray[np.int64]:
    """One ascending number per (row, column, side)."""
    return (table.row.astype(np.int64) * panel.sessions.size + table.column) * 2 + (table.side > 0)


def _rsi2(params: Params) -> rsi2.Params:
    return rsi2.Params(
        rsi_period=params.rsi_period,
        sma_period=params.sma_period,
        atr_period=params.atr_period,
        atr_stop_mult=params.atr_stop_mult,
        time_stop_bars=params.time_stop_bars,
        long_entry=params.long_entry,
        short_entry=params.short_entry,
        long_exit=params.long_exit,
        short_exit=params.short_exit,
        min_price=params.min_price,
        allow_shorts=params.allow_shorts,
    )


def _ibs(params: Params) -> ibs.Params:
    return ibs.Params(
        sma_period=params.sma_period,
        atr_period=params.atr_period,
        atr_stop_mult=params.atr_stop_mult,
        time_stop_bars=params.time_stop_bars,
        long_entry=params.ibs_long_entry,
        short_entry=params.ibs_short_entry,
        min_price=params.min_price,
        allow_shorts=params.allow_shorts,
    )
