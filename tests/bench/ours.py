"""W1 to W3 by the product's means: its indicator kernels, its way of compiling, one walk along each symbol's row.

The rules of these workloads are not the product's (no shared cash, a stop known only at the entry):
they are chosen so that other libraries can do the same work. W4 and W5 are the product itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.indicator_kernels import (
    Floats,
    average_true_range,
    highest_before,
    internal_bar_strength,
    moving_average,
    relative_strength,
)
from shared.domain.arrays.jit import jit
from tests.bench.rules import ATR, COST, FAST, IBS_BARS, MONEY, OUT_AT, SETS, SLOW, TREND, windows

POOL = ThreadPoolExecutor(os.cpu_count() or 1)
Flags = NDArray[np.bool_]


@jit
def trade(
    o: Floats, lo: Floats, c: Floats, atr: Floats, signal: Flags, leave: Flags, k: float, bars: int
) -> tuple[int, float]:
    """(closed trades, their P&L) of one symbol. `leave` may be empty: no indicator exit."""
    count, pnl, t, n = 0, 0.0, 0, c.size
    while t < n - 1:
        if not signal[t] or np.isnan(atr[t]) or c[t] > MONEY:
            t += 1
            continue
        b, price = exit_of(o, lo, leave, t + 1, o[t + 1] - k * atr[t], bars)
        if b < 0:
            break
        count += 1
        pnl += np.floor(MONEY / c[t]) * (price * (1 - COST) - o[t + 1] * (1 + COST))
        t = b
    return count, pnl


@jit
def exit_of(
    o: Floats, lo: Floats, leave: Flags, entry: int, stop: float, bars: int
) -> tuple[int, float]:
    """(bar, price before costs); -1 if it is open at the end."""
    last = min(entry + bars, o.size - 1)
    for b in range(entry, last + 1):
        if b == entry + bars or (b > entry and leave.size > 0 and leave[b - 1]):
            return b, o[b]
        if lo[b] <= stop:
            return b, min(o[b], stop)
    return -1, 0.0


@jit
def donchian_rows(
    o: Floats, h: Floats, lo: Floats, c: Floats, first: int, last: int
) -> tuple[int, float]:
    count, pnl, none = 0, 0.0, np.zeros(0, np.bool_)
    for row in range(first, last):
        atr = average_true_range(h[row], lo[row], c[row], ATR)
        signal = c[row] > highest_before(h[row], FAST)
        found = trade(o[row], lo[row], c[row], atr, signal, none, 2.0, 20)
        count, pnl = count + found[0], pnl + found[1]
    return count, pnl


@jit
def rsi_rows(
    o: Floats, h: Floats, lo: Floats, c: Floats, first: int, last: int
) -> tuple[int, float]:
    count, pnl = 0, 0.0
    for row in range(first, last):
        atr = average_true_range(h[row], lo[row], c[row], ATR)
        rsi = relative_strength(c[row], 2)
        signal = (rsi <= 10.0) & (c[row] > moving_average(c[row], TREND))
        found = trade(o[row], lo[row], c[row], atr, signal, rsi >= OUT_AT, 2.0, 5)
        count, pnl = count + found[0], pnl + found[1]
    return count, pnl


@jit
def chains(
    o: Floats, lo: Floats, c: Floats, atr: Floats, signal: Flags, leave: Flags, k: float, bars: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], Floats, NDArray[np.int32]]:
    """Per signal its bar, the bar of its exit, its P&L, and the first signal a walk may take after it."""
    at = np.flatnonzero(signal[:-1] & ~np.isnan(atr[:-1]) & (c[:-1] <= MONEY)).astype(np.int32)
    out, pnl = np.empty(at.size, np.int32), np.empty(at.size, np.float64)
    after = np.empty(at.size, np.int32)
    for i in range(at.size):
        t = at[i]
        b, price = exit_of(o, lo, leave, t + 1, o[t + 1] - k * atr[t], bars)
        out[i] = b if b >= 0 else c.size
        pnl[i] = np.floor(MONEY / c[t]) * (price * (1 - COST) - o[t + 1] * (1 + COST))
    for i in range(at.size):
        j = i + 1
        while j < at.size and at[j] < out[i]:
            j += 1
        after[i] = j
    return at, out, pnl, after


@jit
def walked(
    signals: tuple[NDArray[np.int32], NDArray[np.int32], Floats, NDArray[np.int32]],
    windows: NDArray[np.int64],
    counts: NDArray[np.int64],
    pnls: Floats,
) -> None:
    """Add one symbol's closed trades of each window (first, last) to `counts` and `pnls`."""
    at, out, pnl, after = signals
    for w in range(windows.shape[0]):
        first, last = windows[w, 0], windows[w, 1]
        i = np.searchsorted(at, first)
        while i < at.size and out[i] <= last:
            counts[w] += 1
            pnls[w] += pnl[i]
            i = after[i]


@jit
def sets_rows(
    o: Floats,
    h: Floats,
    lo: Floats,
    c: Floats,
    first: int,
    last: int,
    sets: Floats,
    windows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], Floats]:
    """(sets, windows) of closed trades and P&L."""
    counts = np.zeros((sets.shape[0], windows.shape[0]), np.int64)
    pnls = np.zeros((sets.shape[0], windows.shape[0]), np.float64)
    none = np.zeros(0, np.bool_)
    for row in range(first, last):
        atr = average_true_range(h[row], lo[row], c[row], ATR)
        rsi, trend = relative_strength(c[row], 2), c[row] > moving_average(c[row], TREND)
        ibs, out = internal_bar_strength(h[row], lo[row], c[row]), rsi >= OUT_AT
        signal = trend
        for s in range(sets.shape[0]):
            kind, value, k = sets[s, 0], sets[s, 1], sets[s, 2]
            if s == 0 or kind != sets[s - 1, 0] or value != sets[s - 1, 1]:
                if kind == 0:
                    signal = c[row] > highest_before(h[row], int(value))
                else:
                    signal = ((rsi <= value) if kind == 1 else (ibs < value)) & trend
            leave, bars = (
                out if kind == 1 else none,
                20 if kind == 0 else SLOW if kind == 1 else IBS_BARS,
            )
            walked(
                chains(o[row], lo[row], c[row], atr, signal, leave, k, bars),
                windows,
                counts[s],
                pnls[s],
            )
    return counts, pnls


@jit
def read_rows(o: Floats, h: Floats, lo: Floats, c: Floats, first: int, last: int) -> float:
    """Touch each price once: what memory alone takes."""
    total = 0.0
    for row in range(first, last):
        total += o[row].sum() + h[row].sum() + lo[row].sum() + c[row].sum()
    return total


def in_parts(kernel: Callable[..., Any], panel: dict[str, Any], *more: Any) -> list[Any]:
    """Over all cores, some symbols each."""
    fields = [panel[name] for name in ("open", "high", "low", "close")]
    edges = np.linspace(0, fields[0].shape[0], 4 * (os.cpu_count() or 1) + 1).astype(int).tolist()
    parts = [POOL.submit(kernel, *fields, *bounds, *more) for bounds in pairwise(edges)]
    return [part.result() for part in parts]


def w1(panel: dict[str, Any]) -> tuple[int, float]:
    found = in_parts(donchian_rows, panel)
    return sum(part[0] for part in found), sum(part[1] for part in found)


def w2(panel: dict[str, Any]) -> tuple[int, float]:
    found = in_parts(rsi_rows, panel)
    return sum(part[0] for part in found), sum(part[1] for part in found)


def w3(panel: dict[str, Any]) -> tuple[int, float]:
    """Trades and P&L of the test windows, each with the set that was best in training, per strategy."""
    bars = panel["close"].shape[1]
    train, test = (np.array(some, np.int64) for some in windows(bars))
    found = in_parts(sets_rows, panel, np.array(SETS), np.concatenate([train, test]))
    counts, pnls = sum(part[0] for part in found), sum(part[1] for part in found)
    tests = np.arange(len(test)) + len(train)
    best = best_sets(pnls[:, : len(train)])
    return sum(int(counts[each, tests].sum()) for each in best), sum(
        float(pnls[each, tests].sum()) for each in best
    )


def best_sets(trained: Any) -> list[Any]:
    """Per strategy the best set of each window; `trained` is P&L, (sets, windows)."""
    kinds = np.array([each[0] for each in SETS])
    places = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
    return [which[np.argmax(trained[which], axis=0)] for which in places]


def floor(panel: dict[str, Any]) -> tuple[int, float]:
    return 0, sum(in_parts(read_rows, panel))


WORK = {"w1": w1, "w2": w2, "w3": w3, "floor": floor}
