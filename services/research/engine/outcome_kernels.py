"""Compiled: what becomes of each signal by itself, whatever the portfolio.

outcomes.py is its only caller. Prices are whole ten-thousandths of a dollar ("units"). Costs, cash
and other positions are not known here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.jit import jit, jit_inline

READY, NO_BAR, INVALIDATED_AT_OPEN, NO_SESSION, UNTRADABLE = range(5)
"""UNTRADABLE: the entry would be in an index, or in a bar without volume."""
GAPPED_STOP, SIGNAL_EXIT, STOP, TARGET, TIME_STOP, ENDED, END_OF_DATA = range(7)
"""The places of fills.ExitReason, in its order."""
NO_TARGET = -1
SESSIONS_UNTIL_ENDED = 5
"""Sessions without a bar after which a position is closed by adjustment (docs/strategies.md)."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class BarArrays(NamedTuple):
    """Of one panel, (symbols, sessions); NaN = no bar."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats


class OrderArrays(NamedTuple):
    """One entry per signal; stop and target in units, `NO_TARGET` for none."""

    row: NDArray[np.int32]
    column: NDArray[np.int32]
    side: NDArray[np.int8]
    stop: Ints
    target: Ints


class ExitRules(NamedTuple):
    """When to leave: after `bars` own bars, or when a flag is up ((0, 0): no such exit)."""

    bars: int
    leave_long: Flags
    leave_short: Flags


class OutcomeArrays(NamedTuple):
    """One entry per signal, aligned with the signals; prices before costs, in units."""

    status: NDArray[np.int8]
    opening: Ints
    exit_column: NDArray[np.int32]
    exit_price: Ints
    exit_kind: NDArray[np.int8]
    bars_held: NDArray[np.int32]


@jit_inline
def units(price: float) -> int:
    """Ten-thousandths of a dollar; a bar's price is a whole number of them already."""
    return int(price * 1e4 + 0.5)


@jit_inline
def entry_status(opening: int, side: int, stop: int, target: int) -> int:
    """READY, or INVALIDATED_AT_OPEN if the open is already at or beyond stop or target."""
    if side * opening <= side * stop or (target != NO_TARGET and side * opening >= side * target):
        return INVALIDATED_AT_OPEN
    return READY


@jit_inline
def bar_exit(
    opening: int, worst: int, best: int, side: int, stop: int, target: int
) -> tuple[int, int]:
    """(kind, price) of what a bar does after its open; kind -1 for nothing.

    `worst` and `best` are the low and high for a long, the high and low for a short.
    """
    if side * worst <= side * stop:
        return STOP, stop
    if target != NO_TARGET and side * best >= side * target:
        return TARGET, (opening if side * opening > side * target else target)
    return -1, stop


@jit_inline
def follow(
    bars: BarArrays,
    leave: Flags,
    row: int,
    entry: int,
    side: int,
    stop: int,
    target: int,
    time_stop: int,
) -> tuple[int, int, int, int]:
    """(exit column, price, kind, own bars) of a position entered at the open of `entry`."""
    sessions = bars.close.shape[1]
    held, absent, leaving, last = 0, 0, False, entry
    for t in range(entry, sessions):
        if np.isnan(bars.close[row, t]):
            absent += 1
            if absent == SESSIONS_UNTIL_ENDED:
                return t, units(bars.close[row, last]), ENDED, held
            continue
        held, absent, last = held + 1, 0, t
        opening = units(bars.open[row, t])
        if held > 1 and side * opening <= side * stop:
            return t, opening, GAPPED_STOP, held
        if leaving:
            return t, opening, SIGNAL_EXIT, held
        low, high = units(bars.low[row, t]), units(bars.high[row, t])
        worst, best = (low, high) if side > 0 else (high, low)
        kind, price = bar_exit(opening, worst, best, side, stop, target)
        if kind >= 0:
            return t, price, kind, held
        if held == time_stop:
            return t, units(bars.close[row, t]), TIME_STOP, held
        leaving = leave.size > 0 and bool(leave[row, t])
    return sessions - 1, units(bars.close[row, last]), END_OF_DATA, held


@jit
def find_outcomes(bars: BarArrays, orders: OrderArrays, exits: ExitRules) -> OutcomeArrays:
    """Every signal followed to its end over the whole panel."""
    count, sessions = orders.row.size, bars.close.shape[1]
    found = OutcomeArrays(
        np.full(count, NO_SESSION, np.int8),
        np.zeros(count, np.int64),
        np.full(count, -1, np.int32),
        np.zeros(count, np.int64),
        np.full(count, -1, np.int8),
        np.zeros(count, np.int32),
    )
    for i in range(count):
        row, entry, side = int(orders.row[i]), int(orders.column[i]) + 1, int(orders.side[i])
        stop, target = int(orders.stop[i]), int(orders.target[i])
        if entry >= sessions:
            continue
        if np.isnan(bars.close[row, entry]):
            found.status[i] = NO_BAR
            continue
        opening = units(bars.open[row, entry])
        found.opening[i], found.status[i] = opening, entry_status(opening, side, stop, target)
        if found.status[i] != READY:
            continue
        leave = exits.leave_long if side > 0 else exits.leave_short
        column, price, kind, held = follow(bars, leave, row, entry, side, stop, target, exits.bars)
        found.exit_column[i], found.exit_price[i] = column, price
        found.exit_kind[i], found.bars_held[i] = kind, held
    return found
