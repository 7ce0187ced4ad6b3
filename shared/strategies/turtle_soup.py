"""ICT Turtle Soup: in an uptrend buy a sweep of an old low that closes back above it.

Run by the signal-engine on live scans and by research on the same arrays; it knows neither cash nor
positions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.indicator_kernels import (
    Floats,
    average_true_range,
    bars_since,
    before,
    lowest_before,
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
from shared.strategies.parameters import Age, Multiple, Period, Price

NAME = "turtle_soup"
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    lookback: Period = 20
    min_bars_since_extreme: Age = 3
    sma_period: Period = 200
    atr_period: Period = 14
    stop_buffer_mult: Multiple = 0.5
    r_multiple: Multiple = 2.0
    time_stop_bars: Period = 5
    min_price: Price = 10.0
    allow_shorts: bool = False


def warmup(params: Params) -> int:
    """Own bars needed before the first that may signal."""
    return max(params.lookback, params.sma_period, params.atr_period + 1)


def signals(panel: Panel, params: Params) -> SignalTable:
    """Every bar that sweeps an extreme old enough and closes back inside; shorts if allowed."""
    bars = read_only(panel.high), read_only(panel.low), read_only(panel.close)
    periods = params.lookback, params.min_bars_since_extreme, params.sma_period, params.atr_period
    hits = _find(*bars, warmup(params), *periods, float(params.min_price), params.allow_shorts)
    close, swept, extreme, age, sma, atr = hits.values
    side = hits.side.astype(np.float64)
    stop = swept - side * params.stop_buffer_mult * atr
    strength = side * (extreme - swept) / atr
    return signal_table(
        row=hits.row,
        column=hits.column,
        side=hits.side,
        close=close,
        stop=stop,
        target=close + side * params.r_multiple * np.abs(close - stop),
        score=strength,
        indicators={
            "atr": atr,
            "sma": sma,
            "extreme": extreme,
            "age": age,
            "sweep_strength": strength,
        },
        time_stop_bars=params.time_stop_bars,
        reason=f"sweep of the {params.lookback}-bar extreme, closed back inside",
    )


@jit
def _sweeps(low: Floats, close: Floats, trend: Floats, lookback: int) -> tuple[Flags, Floats]:
    """Where a bar sweeps the lowest low before it and closes above it and the trend; that low."""
    lowest = lowest_before(low, lookback)
    return (low < lowest) & (close > lowest) & (close > trend), lowest


@jit
def _find(
    high: Floats,
    low: Floats,
    close: Floats,
    first: int,
    lookback: int,
    min_age: int,
    sma_period: int,
    atr_period: int,
    min_price: float,
    allow_shorts: bool,
) -> Hits:
    """Values of a hit: C[t], low (short: high), the extreme swept, its age, SMA[t-1], ATR[t-1]."""
    hits, count = no_hits(6, close.size // 16), 0
    for row in range(close.shape[0]):
        own = own_columns(close[row])
        h, lo, c = own_bars(high[row], own), own_bars(low[row], own), own_bars(close[row], own)
        atr = average_true_range(h, lo, c, atr_period)
        sma = moving_average(c, sma_period)
        trend = before(sma)
        bought, lowest = _sweeps(lo, c, trend, lookback)
        either, highest = bought, lowest
        if allow_shorts:
            sold, mirrored = _sweeps(-h, -c, -trend, lookback)
            either, highest = bought | sold, -mirrored
        hits = with_room(hits, count, c.size)
        for t in places_of(either, first):
            if c[t] < min_price or not atr[t - 1] > 0:
                continue
            side = LONG if bought[t] else SHORT
            swept, extreme = (lo[t], lowest[t]) if bought[t] else (h[t], highest[t])
            age = bars_since(lo if side == LONG else h, extreme, t)
            if age >= min_age:
                values = c[t], swept, extreme, float(age), sma[t - 1], atr[t - 1]
                count = append_hit(hits, count, row, own[t], side, values)
    return only_first(hits, count)
