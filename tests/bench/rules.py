"""The rules of W1 to W3 in numbers, for every engine the same.

A signal at close[t] of a flat symbol buys floor(10000 / close[t]) at open[t+1], if that is a share
at least; 5 bps against us per fill; the stop, open[t+1] - k * ATR14[t], lives from the entry bar
and fills at min(open, stop); time and indicator exits are at the open of their bar, before that
bar's stop; what is open at the end does not count.
"""

from __future__ import annotations

MONEY, COST, ATR = 10_000.0, 0.0005, 14
FAST, TREND, OUT_AT = 20, 200, 70.0
SLOW, IBS_BARS = 5, 5
"""Bars after which RSI and IBS trades are out."""
TRAIN, TEST = 252, 63
DONCHIAN, RSI, IBS = 0, 1, 2
SETS = tuple(
    (float(kind), float(value), k)
    for kind, values in (
        (DONCHIAN, (10, 20, 40, 55)),
        (RSI, (5, 10, 15, 20)),
        (IBS, (0.05, 0.1, 0.15, 0.2)),
    )
    for value in values
    for k in (1.5, 2.0, 3.0)
)
Window = tuple[int, int]


def windows(bars: int) -> tuple[list[Window], list[Window]]:
    """(first, last) columns of the training and of the test windows."""
    starts = range(TRAIN, bars - TEST + 1, TEST)
    return [(at - TRAIN, at - 1) for at in starts], [(at, at + TEST - 1) for at in starts]
