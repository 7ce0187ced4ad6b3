"""A valid message of every type, and for each of its fields values that no message may carry."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from shared.schemas import fields as f
from shared.schemas.checks import ANY_DECIMAL

Path = tuple[str | int, ...]
TEXTS = ("", "aapl", "AAPL ", "AAPL\n", "BRK..B", "../etc/passwd", "AAPL;DROP", "Ä", "\x00", "-")
NOT_TEXT: tuple[Any, ...] = (None, 5, True, [], {})
DECIMAL_TEXTS = ("NaN", "sNaN", "Infinity", "-Infinity", "", "abc", "1_0", " 1", "+1", "0x10", "1E")
NOT_INT: tuple[Any, ...] = (None, "1", True, [], 10**30, -(10**30))
DATES = ("0001-01-01", "1901-05-05", "9999-12-31", "2024-02-30", "2024-1-5", "", "today", 5, None)
INSTANTS = (
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2024-01-05T14:35:00",
    "2024-01-05",
    "yesterday",
    "",
    5,
    None,
)


def sample_of(hint: Any) -> Any:
    """A valid value of a type, as plain JSON."""
    base, _ = _split(hint)
    origin = get_origin(base)
    if origin in (Union, UnionType):
        return sample_of(next(each for each in get_args(base) if each is not type(None)))
    if origin is tuple:
        return [sample_of(get_args(base)[0])]
    if origin is dict:
        return {sample_of(get_args(base)[0]): sample_of(get_args(base)[1])}
    if isinstance(base, type) and issubclass(base, msgspec.Struct):
        hints = get_type_hints(base, include_extras=True)
        return {name: sample_of(each) for name, each in hints.items()}
    if isinstance(base, type) and issubclass(base, StrEnum):
        return next(iter(base)).value
    plain: dict[Any, Any] = {
        str: "AAPL",
        bool: True,
        int: 1,
        Decimal: "1",
        dt.date: "2024-01-05",
        dt.datetime: "2024-01-05T14:35:00Z",
    }
    return plain[base]


def absurd_values(hint: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Where in a value of this type something stands, and what may not stand there."""
    base, metadata = _split(hint)
    origin = get_origin(base)
    if origin in (Union, UnionType):
        members = [each for each in get_args(base) if each is not type(None)]
        found = absurd_values(members[0], path)
        yield from (each for each in found if each != (path, None))
    elif origin is tuple:
        item = get_args(base)[0]
        yield from ((path, value) for value in (None, "AAPL", 5, *_too_long(metadata, item)))
        yield from absurd_values(item, (*path, 0))
    elif origin is dict:
        yield from ((path, value) for value in (None, "AAPL", 5, [1]))
        yield from absurd_values(get_args(base)[1], (*path, "AAPL"))
    elif isinstance(base, type) and issubclass(base, msgspec.Struct):
        for name, each in get_type_hints(base, include_extras=True).items():
            yield from absurd_values(each, (*path, name))
    else:
        yield from ((path, value) for value in _absurd_plain(base, metadata))


def _split(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    if get_origin(hint) is Annotated:
        base, *metadata = get_args(hint)
        return base, tuple(metadata)
    return hint, ()


def _too_long(metadata: tuple[Any, ...], item: Any) -> list[Any]:
    return [
        [sample_of(item)] * (each.max_length + 1)
        for each in metadata
        if isinstance(each, msgspec.Meta) and each.max_length and each.max_length <= 1000
    ]


def _absurd_plain(base: Any, metadata: tuple[Any, ...]) -> Iterator[Any]:
    if base is str:
        yield from NOT_TEXT
        yield from _absurd_texts(metadata)
    elif base is bool:
        yield from (None, 1, 0, "true", [])
    elif base is int:
        yield from NOT_INT
        for each in metadata:
            yield from (each.ge - 1, each.le + 1)
    elif base is Decimal:
        yield from (None, 5, True, *DECIMAL_TEXTS, "1E+400", "-1E+400", "1." + "0" * 60 + "1")
        allowed = next((each for each in metadata if isinstance(each, f.DecimalRange)), ANY_DECIMAL)
        yield from (str(allowed.low - 1), f"{allowed.high + 1:f}")
    elif base is dt.date:
        yield from DATES
    elif base is dt.datetime:
        yield from INSTANTS
    else:
        yield from (None, "", "steal", 5)


def _absurd_texts(metadata: tuple[Any, ...]) -> Iterator[str]:
    for each in metadata:
        if isinstance(each, msgspec.Meta):
            yield "A" * ((each.max_length or 0) + 1)
            if each.pattern:
                yield from (text for text in TEXTS if not re.search(each.pattern, text))
