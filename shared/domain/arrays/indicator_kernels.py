"""Compiled indicators over one symbol's own bars in time order: (bars,) -> (bars,).

NaN until the window is full. Called by the kernels of strategies and by indicators.py (the face for
everybody else). All are causal: the value at t depends on bars up to t alone, or up to t-1 where
the name says `before`.
"""

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.jit import jit

Floats = NDArray[np.float64]


@jit
def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """max(H-L, |H-C[t-1]|, |L-C[t-1]|), which is max(H, C[t-1]) - min(L, C[t-1]); NaN at 0."""
    ranges = np.full(close.size, np.nan)
    highs, lows, to = high[1:], low[1:], ranges[1:]
    for t in range(to.size):
        to[t] = max(highs[t], close[t]) - min(lows[t], close[t])
    return ranges


@jit
def wilder(values: Floats, n: int) -> Floats:
    """Wilder's average of values[1:]: at n the mean of n, then (previous * (n-1) + value) / n."""
    averages = np.full(values.size, np.nan)
    if values.size <= n:
        return averages
    total = 0.0
    for t in range(1, n + 1):
        total += values[t]
    average = total / n
    averages[n] = average
    keep, take = (n - 1) / n, 1.0 / n
    for t in range(n + 1, values.size):
        average = average * keep + values[t] * take
        averages[t] = average
    return averages


@jit
def average_true_range(high: Floats, low: Floats, close: Floats, n: int) -> Floats:
    return wilder(true_range(high, low, close), n)


@jit
def on_paper(value: float, scale: float) -> float:
    """Round to 1/scale: what is 0.2 on paper becomes the float64 of 0.2, not just below it."""
    rounded: float = np.rint(value * scale) / scale
    return rounded


@jit
def relative_strength(close: Floats, n: int) -> Floats:
    """Wilder's RSI, 0..100, to ten decimals: no losses and some gains = 100, no moves = 50."""
    strength = np.full(close.size, np.nan)
    gain, loss = 0.0, 0.0
    keep, take = (n - 1) / n, 1.0 / n
    for t in range(1, close.size):
        change = on_paper(close[t] - close[t - 1], 1e8)
        if t <= n:
            gain, loss = gain + max(change, 0.0) / n, loss + max(-change, 0.0) / n
        else:
            gain, loss = (
                gain * keep + max(change, 0.0) * take,
                loss * keep + max(-change, 0.0) * take,
            )
        if t >= n:
            moves = gain + loss
            strength[t] = 50.0 if moves == 0.0 else on_paper(100.0 * (gain / moves), 1e10)
    return strength


@jit
def moving_average(values: Floats, n: int) -> Floats:
    """Mean of the last n values.

    Whole ten-thousandths are summed apart from what is left of them (nothing, for prices): their
    sums are exact, so the mean of n equal prices is that price, however long the sum has been
    running.
    """
    units = np.floor(values * 1e4 + 0.5)
    rest = values - units / 1e4
    means = running_sum(units, n) / (n * 1e4)
    if np.any(rest != 0.0):
        means += running_sum(rest, n) / n
    return means


@jit
def running_sum(values: Floats, n: int) -> Floats:
    """Sum of the last n values."""
    sums = np.full(values.size, np.nan)
    if values.size < n:
        return sums
    total = values[:n].sum()
    sums[n - 1] = total
    came, to = values[n:], sums[n:]
    for t in range(came.size):
        total += came[t] - values[t]
        to[t] = total
    return sums


@jit
def before(values: Floats) -> Floats:
    """values[t-1] at t."""
    earlier = np.empty(values.size, np.float64)
    earlier[:1] = np.nan
    earlier[1:] = values[:-1]
    return earlier


@jit
def highest_before(values: Floats, n: int) -> Floats:
    """max(values[t-n..t-1]), by doubling: of the windows of 1, 2, 4 … bars, two cover n."""
    highest = np.full(values.size, np.nan)
    if values.size <= n:
        return highest
    maxima, width = values.copy(), 1
    while 2 * width <= n:
        maxima = larger_of(maxima[:-width], maxima[width:])
        width *= 2
    # Slices, not t-n: an index that might be negative keeps the compiler from working on several
    # bars at once.
    highest[n:] = larger_of(maxima[: values.size - n], maxima[n - width : values.size - width])
    return highest


@jit
def larger_of(some: Floats, others: Floats) -> Floats:
    """Pair by pair."""
    larger = np.empty(some.size, np.float64)
    for place in range(some.size):
        larger[place] = max(others[place], some[place])
    return larger


@jit
def lowest_before(values: Floats, n: int) -> Floats:
    """min(values[t-n..t-1])."""
    return -highest_before(-values, n)


@jit
def bars_since(values: Floats, extreme: float, t: int) -> int:
    """Bars between t-1 and the latest bar before t at which `values` is `extreme` (0 = at t-1)."""
    age = 0
    while values[t - 1 - age] != extreme:
        age += 1
    return age


@jit
def bars_since_each(values: Floats, extremes: Floats) -> Floats:
    """`bars_since` for every t at which the extreme is known."""
    ages = np.full(values.size, np.nan)
    for t in range(values.size):
        if not np.isnan(extremes[t]):
            ages[t] = bars_since(values, extremes[t], t)
    return ages


@jit
def internal_bar_strength(high: Floats, low: Floats, close: Floats) -> Floats:
    """(C-L)/(H-L) to ten decimals, NaN where H = L."""
    strength = np.empty(close.size, np.float64)
    for t in range(close.size):
        span = on_paper(high[t] - low[t], 1e8)
        strength[t] = (
            on_paper(on_paper(close[t] - low[t], 1e8) / span, 1e10) if span > 0 else np.nan
        )
    return strength
