"""How much of the universe has the bar it must have. Called by the archive updater; pure."""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import Panel

SESSIONS_UNTIL_ENDED = 5
"""A symbol without a bar for so many sessions is no longer expected.

It stays stale, and is never scanned.
"""
_PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Coverage:
    """`ratio` of the symbols that should have a bar have one.

    `stale` names listed symbols without it.
    """

    ratio: Decimal
    stale: tuple[str, ...]


def first_bars(panel: Panel) -> NDArray[np.int64]:
    """Each symbol's first column with a bar."""
    first: NDArray[np.int64] = np.isfinite(panel.close).argmax(axis=1)
    return first


def missing_bars(panel: Panel, first: NDArray[np.int64]) -> int:
    """Sessions without a bar between each symbol's first and last one, all symbols together."""
    there = np.isfinite(panel.close)
    last = there.shape[1] - there[:, ::-1].argmax(axis=1)
    return int((last - first).sum() - there.sum())


def coverage(
    panel: Panel, first: NDArray[np.int64], session: dt.date, universe: Collection[str]
) -> Coverage:
    """Of one session. `first` is of `first_bars`.

    A symbol not yet listed by then is not expected.
    """
    column = int(np.searchsorted(panel.sessions, np.datetime64(session)))
    if column == panel.sessions.size or panel.sessions[column] != np.datetime64(session):
        return Coverage(Decimal(0), tuple(sorted({*panel.symbols, *universe})))
    recent = np.isfinite(panel.close[:, max(0, column + 1 - SESSIONS_UNTIL_ENDED) : column + 1])
    fresh, listed = recent[:, -1], first <= column
    unknown = sorted(set(universe) - set(panel.symbols))
    expected = int((listed & recent.any(axis=1)).sum()) + len(unknown)
    stale = [panel.symbols[row] for row in np.flatnonzero(listed & ~fresh)]
    ratio = Decimal(int(fresh.sum())) / expected if expected else Decimal(0)
    return Coverage(ratio.quantize(_PLACES), tuple(sorted([*stale, *unknown])))
