"""Connors RSI-2: in an uptrend buy a sharp dip; in a downtrend sell short a sharp rise.

Run by the signal-engine on live scans and by research on the same arrays; it knows neither cash nor
positions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.indicator_kernels import (
    Floats,
    average_true_range,
    before,
    moving_average,
    relative_strength,
)
from shared.domain.arrays.jit import jit, read_only
from shared.domain.arrays.symbol_rows import (
    Hits,
    append_hit,
    no_hits,
    only_first,
    own_bars,
    own_columns,
    places_of,
    with_room,
)
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import LONG, SHORT, SignalTable, signal_table
from shared.strategies.parameters import Multiple, Percent, Period, Price

NAME = "rsi2"
Flags = NDArray[np.bool_]


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
    min_price: Price = 5.0
    allow_shorts: bool = True


def warmup(params: Params) -> int:
    """Own bars needed before the first that may signal."""
    return max(params.sma_period, params.rsi_period + 1, params.atr_period + 1)


def signals(panel: Panel, params: Params) -> SignalTable:
    """Every bar after an RSI at an extreme against the trend; and when a position should leave."""
    bars = read_only(panel.high), read_only(panel.low), read_only(panel.close)
    periods = params.rsi_period, params.sma_period, params.atr_period
    entries = float(params.long_entry), float(params.short_entry)
    exits = float(params.long_exit), float(params.short_exit)
    hits, exit_long, exit_short = _find(
        *bars,
        warmup(params),
        *periods,
        entries,
        exits,
        float(params.min_price),
        params.allow_shorts,
    )
    close, rsi, sma, atr = hits.values
    side = hits.side.astype(np.float64)
    return signal_table(
        row=hits.row,
        column=hits.column,
        side=hits.side,
        close=close,
        stop=close - side * params.atr_stop_mult * atr,
        target=None,
        score=np.where(side > 0, params.long_entry - rsi, rsi - params.short_entry),
        indicators={"rsi": rsi, "sma": sma, "atr": atr},
        time_stop_bars=params.time_stop_bars,
        reason=f"RSI({params.rsi_period}) at an extreme against the {params.sma_period}-bar trend",
        exit_long=exit_long,
        exit_short=exit_short,
    )


@jit
def _find(
    high: Floats,
    low: Floats,
    close: Floats,
    first: int,
    rsi_period: int,
    sma_period: int,
    atr_period: int,
    entries: tuple[float, float],
    exits: tuple[float, float],
    min_price: float,
    allow_shorts: bool,
) -> tuple[Hits, Flags, Flags]:
    """Values of a hit: C[t], RSI[t-1], SMA[t-1], ATR[t-1]; signal exits are (symbols, bars)."""
    hits, count = no_hits(4, close.size // 16), 0
    exit_long, exit_short = np.zeros(close.shape, np.bool_), np.zeros(close.shape, np.bool_)
    for row in range(close.shape[0]):
        own = own_columns(close[row])
        h, lo, c = own_bars(high[row], own), own_bars(low[row], own), own_bars(close[row], own)
        atr = average_true_range(h, lo, c, atr_period)
        sma = moving_average(c, sma_period)
        rsi = relative_strength(c, rsi_period)
        hits = with_room(hits, count, c.size)
        trend, prior = before(sma), before(rsi)
        exit_long[row][own] = prior >= exits[0]
        exit_short[row][own] = prior <= exits[1]
        long = (c > trend) & (prior <= entries[0])
        short = (c < trend) & (prior >= entries[1])
        for t in places_of(long | short if allow_shorts else long, first):
            if c[t] >= min_price and atr[t - 1] > 0:
                values = c[t], rsi[t - 1], sma[t - 1], atr[t - 1]
                count = append_hit(hits, count, row, own[t], LONG if long[t] else SHORT, values)
    return only_first(hits, count), exit_long, exit_short
