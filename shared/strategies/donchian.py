"""Donchian Breakout: buy a close above the highest high of the previous bars. Long only.

Run by the signal-engine on live scans and by research on the same arrays; it knows neither cash nor
positions.
"""

from dataclasses import dataclass

from shared.domain.arrays.indicator_kernels import Floats, average_true_range, highest_before
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
from shared.domain.market.signal_table import LONG, SignalTable, signal_table
from shared.strategies.parameters import Multiple, Period, Price

NAME = "donchian"


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    lookback: Period = 55
    atr_period: Period = 14
    stop_mult: Multiple = 2.0
    r_multiple: Multiple = 2.5
    time_stop_bars: Period = 20
    min_price: Price = 5.0


def warmup(params: Params) -> int:
    """Own bars needed before the first that may signal."""
    return max(params.lookback, params.atr_period + 1)


def signals(panel: Panel, params: Params) -> SignalTable:
    """Every bar that closes above the channel; repeats are signals too."""
    bars = read_only(panel.high), read_only(panel.low), read_only(panel.close)
    hits = _find(*bars, warmup(params), params.lookback, params.atr_period, float(params.min_price))
    close, atr, channel = hits.values
    stop = close - params.stop_mult * atr
    risk = close - stop
    return signal_table(
        row=hits.row,
        column=hits.column,
        side=hits.side,
        close=close,
        stop=stop,
        target=close + params.r_multiple * risk,
        score=(close - channel) / risk,
        indicators={"atr": atr, "channel": channel},
        time_stop_bars=params.time_stop_bars,
        reason=f"close above the {params.lookback}-bar high",
    )


@jit
def _find(
    high: Floats,
    low: Floats,
    close: Floats,
    first: int,
    lookback: int,
    atr_period: int,
    min_price: float,
) -> Hits:
    """Values of a hit: C[t], ATR[t-1], channel[t]. An ATR of zero leaves no room for a stop."""
    hits, count = no_hits(3, close.size // 16), 0
    for row in range(close.shape[0]):
        own = own_columns(close[row])
        h, lo, c = own_bars(high[row], own), own_bars(low[row], own), own_bars(close[row], own)
        atr = average_true_range(h, lo, c, atr_period)
        channel = highest_before(h, lookback)
        hits = with_room(hits, count, c.size)
        for t in places_of(c > channel, first):
            if c[t] >= min_price and atr[t - 1] > 0:
                count = append_hit(hits, count, row, own[t], LONG, (c[t], atr[t - 1], channel[t]))
    return only_first(hits, count)
