"""Rows off the wire to `Bars`.

One column each, symbols in the order asked, whatever a vendor calls its fields.

Used by the vendors that live on a network. It judges nothing: a value that is no number becomes
NaN, and the domain refuses that bar and counts it.
"""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from shared.domain.market.bars import FIELDS, Bars

NEW_YORK = ZoneInfo("America/New_York")
RowT = TypeVar("RowT")


class WireRow(Protocol):
    """A row as both vendors send it; `v` may be fractional."""

    o: float
    h: float
    l: float  # noqa: E741 (the wire's name)
    c: float
    v: float


class PlainRow(msgspec.Struct):
    """A row of a vendor whose own fields have other names."""

    o: float
    h: float
    l: float  # noqa: E741 (as WireRow has it)
    c: float
    v: float


Dated = tuple[dt.date, WireRow]


def bars_from_rows(rows: Mapping[str, Sequence[Dated]]) -> Bars:
    """The bars of each symbol, symbols in order; a symbol without rows is left out."""
    symbols = tuple(sorted(symbol for symbol, with_sessions in rows.items() if with_sessions))
    every = [each for symbol in symbols for each in rows[symbol]]
    counts = [len(rows[symbol]) for symbol in symbols]
    columns = {
        name: np.array([getattr(row, name[0]) for _, row in every], np.float64) for name in FIELDS
    }
    return Bars(
        symbols,
        np.repeat(np.arange(len(symbols), dtype=np.int32), counts),
        np.array([session for session, _ in every], "datetime64[D]"),
        **columns,
    )


def join_bars(parts: Iterable[Bars]) -> Bars:
    """All bars of several answers, symbols in order."""
    kept = [part for part in parts if part.row.size]
    symbols = tuple(sorted({symbol for part in kept for symbol in part.symbols}))
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = [
        np.array([place[symbol] for symbol in part.symbols], np.int32)[part.row] for part in kept
    ]
    if not kept:
        return bars_from_rows({})
    fields = {
        name: np.concatenate([getattr(part, name) for part in kept])
        for name in ("session", *FIELDS)
    }
    return Bars(symbols, np.concatenate(rows), **fields)


def read_rows(
    raw: Sequence[msgspec.Raw], kind: type[RowT], salvage: Callable[[Any], RowT | None]
) -> list[RowT]:
    """Each row by itself, so that a bad one costs only itself.

    `salvage` makes of it what can be made.
    """
    decoder = msgspec.json.Decoder(kind)
    found: list[RowT | None] = []
    for text in raw:
        try:
            found.append(decoder.decode(text))
        except msgspec.ValidationError:
            found.append(salvage(msgspec.json.decode(text)))
    return [row for row in found if row is not None]


def with_sessions(
    rows: Iterable[RowT], session_of: Callable[[RowT], dt.date]
) -> Iterator[tuple[dt.date, RowT]]:
    """The rows with their sessions; one whose time is none is left out."""
    for row in rows:
        try:
            yield session_of(row), row
        except (ValueError, OverflowError, OSError):
            continue


def lose(_row: Any) -> None:
    """A row of which nothing can be made."""


def number(value: Any) -> float:
    """A JSON number as it is, anything else as NaN."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan
