"""docs/strategies.md read once more: the signals, bar by bar, in plain Decimals; slow and obvious.

It shares nothing with the kernels it judges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import numpy as np

from shared.domain.market.bars import Panel

HUNDRED, ONE_CENT = Decimal(100), Decimal("0.01")
Prices = Sequence[Decimal]
Measure = list[Decimal | None]


@dataclass(frozen=True)
class SlowSignal:
    t: int
    side: int
    reference_price: Decimal
    stop: Decimal
    target: Decimal | None
    score: Decimal
    indicators: Mapping[str, Decimal]


@dataclass
class Reading:
    signals: list[SlowSignal] = field(default_factory=list)
    exit_long: list[bool] | None = None
    exit_short: list[bool] | None = None


@dataclass(frozen=True)
class OneSymbol:
    high: Prices
    low: Prices
    close: Prices
    columns: Sequence[int]

    def __len__(self) -> int:
        return len(self.close)


def own_bars(panel: Panel, row: int) -> OneSymbol:
    columns = [t for t in range(panel.sessions.size) if not np.isnan(panel.close[row, t])]
    high, low, close = (
        [Decimal(str(float(values[row, t]))) for t in columns]
        for values in (panel.high, panel.low, panel.close)
    )
    return OneSymbol(high, low, close, columns)


def cent(price: Decimal) -> Decimal:
    return price.quantize(ONE_CENT, rounding=ROUND_HALF_EVEN)


def atr(bars: OneSymbol, n: int) -> Measure:
    ranges = [Decimal(0)]
    for t in range(1, len(bars)):
        high, low, before = bars.high[t], bars.low[t], bars.close[t - 1]
        ranges.append(max(high - low, abs(high - before), abs(low - before)))
    return wilder(ranges, n)


def wilder(values: Prices, n: int) -> Measure:
    averages: Measure = [None] * len(values)
    for t in range(n, len(values)):
        before = averages[t - 1]
        averages[t] = (
            sum(values[1 : n + 1], Decimal(0)) / n
            if before is None
            else (before * (n - 1) + values[t]) / n
        )
    return averages


def rsi(close: Prices, n: int) -> Measure:
    gains = [Decimal(0)] + [max(close[t] - close[t - 1], Decimal(0)) for t in range(1, len(close))]
    losses = [Decimal(0)] + [max(close[t - 1] - close[t], Decimal(0)) for t in range(1, len(close))]
    strength: Measure = []
    for gain, loss in zip(wilder(gains, n), wilder(losses, n), strict=True):
        if gain is None or loss is None:
            strength.append(None)
        elif gain == loss == 0:
            strength.append(Decimal(50))
        else:
            strength.append(HUNDRED * gain / (gain + loss))
    return strength


def sma(close: Prices, n: int) -> Measure:
    means: Measure = [None] * len(close)
    total = Decimal(0)
    for t, price in enumerate(close):
        total += price - (close[t - n] if t >= n else 0)
        if t >= n - 1:
            means[t] = total / n
    return means


def ibs(bars: OneSymbol) -> Measure:
    return [
        None if high == low else (close - low) / (high - low)
        for high, low, close in zip(bars.high, bars.low, bars.close, strict=True)
    ]


def donchian(bars: OneSymbol, p: Any) -> Reading:
    reading, ranges = Reading(), atr(bars, p.atr_period)
    for t in range(p.lookback, len(bars)):
        channel, close, average = max(bars.high[t - p.lookback : t]), bars.close[t], ranges[t - 1]
        if (
            average is None
            or average == 0
            or not (close > channel and close >= Decimal(str(p.min_price)))
        ):
            continue
        stop = close - Decimal(str(p.stop_mult)) * average
        target = close + Decimal(str(p.r_multiple)) * (close - stop)
        score = (close - channel) / (close - stop)
        used = {"atr": average, "channel": channel}
        reading.signals.append(SlowSignal(t, 1, cent(close), cent(stop), cent(target), score, used))
    return reading


def turtle_soup(bars: OneSymbol, p: Any) -> Reading:
    reading, ranges, means = Reading(), atr(bars, p.atr_period), sma(bars.close, p.sma_period)
    for t in range(p.lookback, len(bars)):
        average, mean, close = ranges[t - 1], means[t - 1], bars.close[t]
        if average is None or average == 0 or mean is None or close < Decimal(str(p.min_price)):
            continue
        lows, highs = bars.low[t - p.lookback : t], bars.high[t - p.lookback : t]
        if (
            bars.low[t] < min(lows) < close
            and age(lows, min(lows)) >= p.min_bars_since_extreme
            and close > mean
        ):
            side, swept, extreme, old = 1, bars.low[t], min(lows), age(lows, min(lows))
        elif (
            p.allow_shorts
            and bars.high[t] > max(highs) > close
            and age(highs, max(highs)) >= p.min_bars_since_extreme
            and close < mean
        ):
            side, swept, extreme, old = -1, bars.high[t], max(highs), age(highs, max(highs))
        else:
            continue
        stop = swept - side * Decimal(str(p.stop_buffer_mult)) * average
        target = close + side * Decimal(str(p.r_multiple)) * abs(close - stop)
        strength = side * (extreme - swept) / average
        used = {
            "atr": average,
            "sma": mean,
            "extreme": extreme,
            "age": Decimal(old),
            "sweep_strength": strength,
        }
        reading.signals.append(
            SlowSignal(t, side, cent(close), cent(stop), cent(target), strength, used)
        )
    return reading


def age(window: Prices, extreme: Decimal) -> int:
    """0 = the window's last bar holds it."""
    return next(bars for bars, price in enumerate(reversed(window)) if price == extreme)


def rsi2(bars: OneSymbol, p: Any) -> Reading:
    strength = rsi(bars.close, p.rsi_period)
    reading = _against_the_trend(bars, p, "rsi", strength, lambda x, y: x <= y)
    prior = [None, *strength[:-1]]
    reading.exit_long = [x is not None and x >= Decimal(str(p.long_exit)) for x in prior]
    reading.exit_short = [x is not None and x <= Decimal(str(p.short_exit)) for x in prior]
    return reading


def ibs_strategy(bars: OneSymbol, p: Any) -> Reading:
    return _against_the_trend(bars, p, "ibs", ibs(bars), lambda x, y: x < y)


def _against_the_trend(
    bars: OneSymbol, p: Any, name: str, measure: Measure, beyond: Callable[[Decimal, Decimal], bool]
) -> Reading:
    reading, ranges, means = Reading(), atr(bars, p.atr_period), sma(bars.close, p.sma_period)
    low_end, high_end = Decimal(str(p.long_entry)), Decimal(str(p.short_entry))
    for t in range(1, len(bars)):
        average, mean, value, close = ranges[t - 1], means[t - 1], measure[t - 1], bars.close[t]
        if (
            average is None
            or average == 0
            or mean is None
            or value is None
            or close < Decimal(str(p.min_price))
        ):
            continue
        if close > mean and beyond(value, low_end):
            side, score = 1, low_end - value
        elif p.allow_shorts and close < mean and beyond(-value, -high_end):
            side, score = -1, value - high_end
        else:
            continue
        stop = close - side * Decimal(str(p.atr_stop_mult)) * average
        used = {name: value, "sma": mean, "atr": average}
        reading.signals.append(SlowSignal(t, side, cent(close), cent(stop), None, score, used))
    return reading


def rsi2_and_ibs(bars: OneSymbol, p: Any) -> Reading:
    reading = rsi2(bars, p)
    theirs = {
        (other.t, other.side): other.indicators["ibs"]
        for other in ibs_strategy(bars, _IbsOf(p)).signals
    }
    reading.signals = [
        SlowSignal(
            **{**vars(each), "indicators": {**each.indicators, "ibs": theirs[each.t, each.side]}}
        )
        for each in reading.signals
        if (each.t, each.side) in theirs
    ]
    return reading


class _IbsOf:
    def __init__(self, p: Any) -> None:
        self.sma_period, self.atr_period, self.atr_stop_mult = (
            p.sma_period,
            p.atr_period,
            p.atr_stop_mult,
        )
        self.long_entry, self.short_entry = p.ibs_long_entry, p.ibs_short_entry
        self.min_price, self.allow_shorts = p.min_price, p.allow_shorts


READ: Mapping[str, Callable[[OneSymbol, Any], Reading]] = {
    "donchian": donchian,
    "turtle_soup": turtle_soup,
    "rsi2": rsi2,
    "ibs": ibs_strategy,
    "rsi2_and_ibs": rsi2_and_ibs,
}
