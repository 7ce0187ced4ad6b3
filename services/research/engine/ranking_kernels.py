"""Compiled: signals in the order in which they compete. It never sees a price.

outcomes.py is its only caller.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.jit import jit, jit_inline

Ints = NDArray[np.int64]


class Candidates(NamedTuple):
    """Signals of several strategies in the order in which they compete, aligned arrays.

    `starts[t]` to `starts[t + 1]` are those entering in session t, best first; signals of the
    panel's last session have no place. `signal` is the row in the strategy's own table; prices are
    units.
    """

    starts: Ints
    strategy: NDArray[np.int16]
    signal: Ints
    row: NDArray[np.int32]
    entry_column: NDArray[np.int32]
    side: NDArray[np.int8]
    stop: Ints
    status: NDArray[np.int8]
    opening: Ints
    exit_column: NDArray[np.int32]
    exit_price: Ints
    exit_kind: NDArray[np.int8]
    bars_held: NDArray[np.int32]


@jit
def by_entry(
    entry_column: NDArray[np.int32],
    strategy: NDArray[np.int16],
    score: NDArray[np.float64],
    place: NDArray[np.int32],
    sessions: int,
) -> tuple[Ints, Ints]:
    """(order, starts): by session, then strategy, score descending, place ascending."""
    starts = np.zeros(sessions + 1, np.int64)
    for column in entry_column:
        if column < sessions:
            starts[column + 1] += 1
    starts = np.cumsum(starts)
    order, filled = np.empty(starts[-1], np.int64), starts[:-1].copy()
    for i in range(entry_column.size):
        column = entry_column[i]
        if column < sessions:
            order[filled[column]] = i
            filled[column] += 1
    for t in range(sessions):
        sort_session(order[starts[t] : starts[t + 1]], strategy, score, place)
    return order, starts


@jit_inline
def sort_session(
    order: Ints, strategy: NDArray[np.int16], score: NDArray[np.float64], place: NDArray[np.int32]
) -> None:
    """Shell sort in place: small groups, a total order, nothing to allocate."""
    gap = order.size // 2
    while gap > 0:
        for i in range(gap, order.size):
            moving, hole = order[i], i
            while hole >= gap and comes_before(moving, order[hole - gap], strategy, score, place):
                order[hole] = order[hole - gap]
                hole -= gap
            order[hole] = moving
        gap //= 2


@jit_inline
def comes_before(
    a: int,
    b: int,
    strategy: NDArray[np.int16],
    score: NDArray[np.float64],
    place: NDArray[np.int32],
) -> bool:
    """Whether candidate `a` is served before candidate `b`."""
    if strategy[a] != strategy[b]:
        return bool(strategy[a] < strategy[b])
    if score[a] != score[b]:
        return bool(score[a] > score[b])
    if place[a] != place[b]:
        return bool(place[a] < place[b])
    return a < b
