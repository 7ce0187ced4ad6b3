"""IBS: in an uptrend buy after a close near the bar's low; in a downtrend sell short, mirrored.

Run by the signal-engine on live scans and by research on the same arrays; it knows neither cash nor
positions.
"""

from dataclasses import dataclass

import numpy as np

from shared.domain.arrays.indicator_kernels import (
    Floats,
    average_true_range,
    before,
    internal_bar_strength,
    moving_average,
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
from shared.strategies.parameters import Fraction, Multiple, Period, Price

NAME = "ibs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    sma_period: Period = 200
    atr_period: Period = 14
    atr_stop_mult: Multiple = 2.0
    time_stop_bars: Period = 5
    long_entry: Fraction = 0.2
    short_entry: Fraction = 0.8
    min_price: Price = 5.0
    allow_shorts: bool = True


def warmup(params: Params) -> int:
    """Own bars needed before the first that may signal."""
    return max(params.sma_period, params.atr_period + 1)


def signals(panel: Panel, params: Params) -> SignalTable:
    """Every bar whose predecessor closed at the end of its range that lies against the trend."""
    bars = read_only(panel.high), read_only(panel.low), read_only(panel.close)
    entries = float(params.long_entry), float(params.short_entry)
    periods = params.sma_period, params.atr_period
    hits = _find(
        *bars, warmup(params), *periods, entries, float(params.min_price), params.allow_shorts
    )
    close, strength, sma, atr = hits.values
    side = hits.side.astype(np.float64)
    return signal_table(
        row=hits.row,
        column=hits.column,
        side=hits.side,
        close=close,
        stop=close - side * params.atr_stop_mult * atr,
        target=None,
        score=np.where(side > 0, params.long_entry - strength, strength - params.short_entry),
        indicators={"ibs": strength, "sma": sma, "atr": atr},
        time_stop_bars=params.time_stop_bars,
        reason=f"close at the end of the bar against the {params.sma_period}-bar trend",
    )


@jit
def _find(
    high: Floats,
    low: Floats,
    close: Floats,
    first: int,
    sma_period: int,
    atr_period: int,
    entries: tuple[float, float],
    min_price: float,
    allow_shorts: bool,
) -> Hits:
    """Values of a hit: C[t], IBS[t-1], SMA[t-1], ATR[t-1]."""
    hits, count = no_hits(4, close.size // 16), 0
    for row in range(close.shape[0]):
        own = own_columns(close[row])
        h, lo, c = own_bars(high[row], own), own_bars(low[row], own), own_bars(close[row], own)
        atr = average_true_range(h, lo, c, atr_period)
        sma = moving_average(c, sma_period)
        strength = internal_bar_strength(h, lo, c)
        hits = with_room(hits, count, c.size)
        trend, prior = before(sma), before(strength)
        long = (c > trend) & (prior < entries[0])
        short = (c < trend) & (prior > entries[1])
        for t in places_of(long | short if allow_shorts else long, first):
            if c[t] >= min_price and atr[t - 1] > 0:
                values = c[t], strength[t - 1], sma[t - 1], atr[t - 1]
                count = append_hit(hits, count, row, own[t], LONG if long[t] else SHORT, values)
    return only_first(hits, count)
