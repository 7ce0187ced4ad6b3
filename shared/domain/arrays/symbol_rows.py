"""Compiled: a symbol's own bars out of its row of a panel, and the hits a strategy's kernel finds.

Called by the kernels of strategies. Every rule speaks of a symbol's own bars in time order, so a
session without a bar is left out before computing and can change nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.domain.arrays.jit import jit

Floats = NDArray[np.float64]
Places = NDArray[np.int32]


class Hits(NamedTuple):
    """Bars at which a strategy's conditions hold; a kernel fills each array from the front."""

    row: Places
    column: Places
    side: NDArray[np.int8]
    values: Floats
    """(values per hit, capacity): what the rules need to set prices and score."""


@jit
def own_columns(field: Floats) -> Places:
    """The columns of one row (bars,) that hold a bar."""
    bars = field.size
    missing = 0
    for t in range(bars):
        missing += np.isnan(field[t])
    if missing == 0:
        return np.arange(bars).astype(np.int32)
    columns = np.empty(bars - missing, np.int32)
    place = 0
    for t in range(bars):
        if not np.isnan(field[t]):
            columns[place] = t
            place += 1
    return columns


@jit
def own_bars(field: Floats, columns: Places) -> Floats:
    """A copy of one row at its own columns; a block where there are no holes between them."""
    count = columns.size
    own = np.empty(count, np.float64)
    if count == 0:
        return own
    start = columns[0]
    if columns[count - 1] - start + 1 == count:
        own[:] = field[start : start + count]
    else:
        for place in range(count):
            own[place] = field[columns[place]]
    return own


@jit
def places_of(holds: NDArray[np.bool_], first: int) -> Places:
    """The own bars from `first` on at which a condition holds."""
    places = np.empty(holds.size + 1, np.int32)
    count = 0
    for t in range(first, holds.size):
        places[count] = t
        count += holds[t]
    return places[:count]


@jit
def no_hits(values: int, capacity: int) -> Hits:
    return Hits(
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int32),
        np.empty(capacity, np.int8),
        np.empty((values, capacity), np.float64),
    )


@jit
def with_room(hits: Hits, count: int, more: int) -> Hits:
    """The same first `count` hits with room for `more`."""
    if count + more <= hits.row.size:
        return hits
    larger = no_hits(hits.values.shape[0], 2 * (count + more))
    larger.row[:count] = hits.row[:count]
    larger.column[:count] = hits.column[:count]
    larger.side[:count] = hits.side[:count]
    larger.values[:, :count] = hits.values[:, :count]
    return larger


@jit
def append_hit(
    hits: Hits, count: int, row: int, column: int, side: int, values: tuple[float, ...]
) -> int:
    """Write one hit after the first `count`; returns the new number of hits."""
    hits.row[count], hits.column[count], hits.side[count] = row, column, side
    for place in range(len(values)):
        hits.values[place, count] = values[place]
    return count + 1


@jit
def only_first(hits: Hits, count: int) -> Hits:
    """The filled part, without the room."""
    return Hits(
        hits.row[:count].copy(),
        hits.column[:count].copy(),
        hits.side[:count].copy(),
        hits.values[:, :count].copy(),
    )
