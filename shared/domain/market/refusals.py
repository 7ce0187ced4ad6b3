"""Which daily bars cannot be true, and why: judged one by one, whatever their order.

Called by the archive, by readers of files and by the pandas faces; what comes through is aligned by
bars.py. It never repairs a bar and never chooses between two that contradict each other.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import BLOCK, FIELDS, PRICES, Bars, Floats, round_prices
from shared.domain.market.sessions import Sessions, is_session

UNITS_PER_DOLLAR = 10_000
OUTSIDE_RANGE = 10_000
"""A price may lie outside [low, high] by one part in this many.

Vendors round each price by itself.
"""


class BarDefect(StrEnum):
    """Why a bar was refused, in the order in which it is asked."""

    NOT_A_NUMBER = "not_a_number"
    NOT_POSITIVE = "not_positive"
    HIGH_BELOW_LOW = "high_below_low"
    OPEN_OUTSIDE_RANGE = "open_outside_range"
    CLOSE_OUTSIDE_RANGE = "close_outside_range"
    NO_SESSION = "no_session"
    DUPLICATE = "duplicate"
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    INTRADAY = "intraday"
    MALFORMED = "malformed"
    UNEXPLAINED_JUMP = "unexplained_jump"


DEFECTS = tuple(BarDefect)
NUMBER = {defect: number for number, defect in enumerate(DEFECTS, start=1)}
"""A defect's number in an array of defects; 0 is none."""


@dataclass(frozen=True, slots=True)
class RefusedBar:
    """One bar that was not let in.

    `detail` shows its values, `origin` the file and row, if known.
    """

    symbol: str
    session: np.datetime64
    reason: BarDefect
    detail: str = ""
    origin: str = ""


def refuse_impossible(bars: Bars) -> tuple[Bars, list[RefusedBar]]:
    """The possible bars, in their order, and every other one with its first reason.

    Prices become float64 rounded to four decimals, so each is the float64 nearest to a whole number
    of ten-thousandths. Of bars that repeat each other one is kept; where two of one symbol and
    session differ, all of them are refused.
    """
    prices = {name: round_prices(getattr(bars, name)) for name in PRICES}
    session = bars.session.astype("datetime64[D]", copy=False)
    volume = bars.volume.astype(np.float64, copy=False)
    clean = Bars(bars.symbols, bars.row, session, volume=volume, **prices)
    defects = find_defects(clean)
    good = clean if not defects.any() else clean.only(defects == 0)
    return good, describe(clean, defects, np.flatnonzero(defects).tolist())


def find_defects(bars: Bars, known: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
    """Per bar 0, or the NUMBER of its first defect; those `known` stay as they are."""
    defects = np.zeros(bars.row.size, np.int8) if known is None else known.copy()
    for first in range(0, bars.row.size, BLOCK):
        block = slice(first, first + BLOCK)
        fields = {name: round_prices(getattr(bars, name)[block]) for name in PRICES}
        fields["volume"] = bars.volume[block].astype(np.float64)
        breaches = (*_breaches(**fields), ~is_session(bars.session[block]))
        for number, is_flawed in enumerate(breaches, start=1):
            defects[block][(defects[block] == 0) & is_flawed] = number
    if not _is_ascending(bars):
        repeats = _repeats(bars, np.flatnonzero(defects == 0))
        defects[list(repeats)] = list(repeats.values())
    return defects


def _is_ascending(bars: Bars) -> bool:
    """Whether bars stand by symbol, then session, each once.

    Most files do, and that costs nothing.
    """
    row, session = bars.row, bars.session
    later = session[1:] > session[:-1]
    later &= row[1:] == row[:-1]
    later |= row[1:] > row[:-1]
    return bool(later.all())


def describe(bars: Bars, defects: NDArray[np.int8], entries: Sequence[int]) -> list[RefusedBar]:
    """The refused bars at these places, with their values or with what contradicts them."""
    conflicts = _conflicts(bars, defects, entries)
    return [
        RefusedBar(
            bars.symbols[bars.row[entry]],
            bars.session[entry],
            DEFECTS[defects[entry] - 1],
            conflicts.get(entry) or describe_values(bars, entry),
        )
        for entry in entries
    ]


def describe_values(bars: Bars, entry: int) -> str:
    """Such as `open 10 high 9 low 10 close 9.5 volume 100`."""
    return " ".join(f"{name} {_number(_round(bars, name, entry))}" for name in FIELDS)


def _round(bars: Bars, name: str, entry: int) -> float:
    return float(np.round(np.float64(getattr(bars, name)[entry]), 4))


def _conflicts(bars: Bars, defects: NDArray[np.int8], entries: Sequence[int]) -> dict[int, str]:
    """Such as `close 9.5 and 9.6` for each bar that another one contradicts."""
    groups = defaultdict(list)
    for entry in entries:
        if defects[entry] == NUMBER[BarDefect.CONFLICTING_DUPLICATE]:
            groups[bars.row[entry], bars.session[entry]].append(entry)
    return {entry: _differences(bars, group) for group in groups.values() for entry in group}


def _differences(bars: Bars, group: list[int]) -> str:
    values = {
        name: dict.fromkeys(_number(_round(bars, name, entry)) for entry in group)
        for name in FIELDS
    }
    return ", ".join(
        f"{name} {' and '.join(each)}" for name, each in values.items() if len(each) > 1
    )


def _number(value: float) -> str:
    return np.format_float_positional(value, trim="-") if np.isfinite(value) else str(value)


def _breaches(
    open: Floats,  # noqa: A002  the field's own name
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
) -> tuple[NDArray[np.bool_], ...]:
    """In the order of `BarDefect`."""
    prices = np.stack([open, high, low, close])
    known = np.isfinite(prices).all(axis=0) & np.isfinite(volume)
    opening, highest, lowest, closing = np.rint(
        np.where(known, prices, 0) * UNITS_PER_DOLLAR
    ).astype(np.int64)
    outside = [
        (price - highest) * OUTSIDE_RANGE > highest
        if above
        else (lowest - price) * OUTSIDE_RANGE > lowest
        for price in (opening, closing)
        for above in (True, False)
    ]
    not_positive = (np.minimum.reduce([opening, highest, lowest, closing]) <= 0) | (volume < 0)
    return ~known, not_positive, highest < lowest, outside[0] | outside[1], outside[2] | outside[3]


def _repeats(bars: Bars, kept: NDArray[np.intp]) -> dict[int, int]:
    """The defects' numbers by place: all but the first of equal bars, all of unequal ones."""
    key = _keys(bars.row[kept], bars.session[kept])
    if (key[1:] > key[:-1]).all():
        return {}
    order = np.argsort(key, kind="stable")
    edges = np.flatnonzero(np.diff(key[order], prepend=-1, append=-1))
    repeats: dict[int, int] = {}
    for group in np.flatnonzero(np.diff(edges) > 1):
        entries = kept[order[edges[group] : edges[group + 1]]]
        repeats |= _judge_repeats(bars, entries.tolist())
    return repeats


def _keys(row: NDArray[np.int32], session: Sessions) -> NDArray[np.int64]:
    """One number for each symbol and day."""
    day = session.astype(np.int64)
    span = np.ptp(day) + 1 if day.size else 1
    return row.astype(np.int64) * span + day - (day.min() if day.size else 0)


def _judge_repeats(bars: Bars, entries: list[int]) -> dict[int, int]:
    values = {tuple(_round(bars, name, entry) for name in FIELDS) for entry in entries}
    if len(values) > 1:
        return dict.fromkeys(entries, NUMBER[BarDefect.CONFLICTING_DUPLICATE])
    return dict.fromkeys(entries[1:], NUMBER[BarDefect.DUPLICATE])
