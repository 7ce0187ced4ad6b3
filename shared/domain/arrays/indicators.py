"""The indicators a strategy is written with: over one symbol (bars,) or a panel (symbols, bars).

Time is the last axis. NaN in a field = no bar: each row is evaluated on its own bars and the holes
stay NaN, so it does not matter in which panel a symbol stands. Nothing here looks ahead.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays import indicator_kernels as kernels
from shared.domain.arrays.jit import read_only

Floats = NDArray[np.float64]


def true_range(high: Floats, low: Floats, close: Floats) -> Floats:
    """max(H-L, |H-C[t-1]|, |L-C[t-1]|); NaN at the first bar."""
    return _each_row(kernels.true_range, high, low, close)


def atr(high: Floats, low: Floats, close: Floats, n: int) -> Floats:
    """Wilder's average true range: the mean of the first n ranges, then smoothed."""
    return _each_row(lambda h, lo, c: kernels.average_true_range(h, lo, c, n), high, low, close)


def rsi(close: Floats, n: int) -> Floats:
    """Wilder's relative strength index, 0..100; a flat window is 50."""
    return _each_row(lambda c: kernels.relative_strength(c, n), close)


def sma(values: Floats, n: int) -> Floats:
    """Mean of the last n bars, the current one included; exact for prices."""
    return _each_row(lambda x: kernels.moving_average(x, n), values)


def highest(values: Floats, n: int) -> Floats:
    """Maximum of the previous n bars, the current one excluded."""
    return _each_row(lambda x: kernels.highest_before(x, n), values)


def lowest(values: Floats, n: int) -> Floats:
    """Minimum of the previous n bars, the current one excluded."""
    return _each_row(lambda x: kernels.lowest_before(x, n), values)


def bars_since_highest(values: Floats, n: int) -> Floats:
    """Bars between t-1 and the latest bar with the maximum of the previous n (0 = at t-1)."""
    return _each_row(lambda x: kernels.bars_since_each(x, kernels.highest_before(x, n)), values)


def bars_since_lowest(values: Floats, n: int) -> Floats:
    """Bars between t-1 and the latest bar with the minimum of the previous n (0 = at t-1)."""
    return _each_row(lambda x: kernels.bars_since_each(x, kernels.lowest_before(x, n)), values)


def ibs(high: Floats, low: Floats, close: Floats) -> Floats:
    """Internal bar strength (C-L)/(H-L), 0..1; NaN where H = L."""
    return _each_row(kernels.internal_bar_strength, high, low, close)


def previous(values: Floats, bars: Floats) -> Floats:
    """`values` one own bar earlier; `bars` is any field of the panel, to tell where bars are."""
    return _on_own_bars(kernels.before, [values], ~np.isnan(bars))


def _each_row(kernel: Callable[..., Floats], *fields: Floats) -> Floats:
    known = ~np.isnan(fields[0])
    for field in fields[1:]:
        known &= ~np.isnan(field)
    return _on_own_bars(kernel, [np.asarray(field, np.float64) for field in fields], known)


def _on_own_bars(
    kernel: Callable[..., Floats], fields: list[Floats], known: NDArray[np.bool_]
) -> Floats:
    if known.ndim > 1:
        rows = [
            _on_own_bars(kernel, [field[row] for field in fields], known[row])
            for row in range(len(known))
        ]
        return np.stack(rows) if rows else np.empty(known.shape)
    if known.all():
        return kernel(*map(read_only, fields))
    result = np.full(known.size, np.nan)
    result[known] = kernel(*(read_only(field[known]) for field in fields))
    return result
