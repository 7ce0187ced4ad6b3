"""Which fields of a value are checked when it is built, found from their types. Called by Value.

The decoder knows patterns and bounds of texts and whole numbers; decimals and instants have none
there, and a value that one of us builds passes no decoder at all.
"""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from shared.schemas.fields import (
    Clipped,
    DecimalRange,
    date_problem,
    decimal_problem,
    instant_problem,
)

Check: TypeAlias = Callable[[Any], str]
"""What is wrong with a value, or nothing."""
Clip: TypeAlias = Callable[[Any], Any]
"""A value with its texts cut to their length."""
ANY_DECIMAL = DecimalRange(Decimal("-1E+100"), Decimal("1E+100"))


@cache
def field_checks(struct: type) -> tuple[tuple[str, Check], ...]:
    """The fields of a struct that need a check, each with its own."""
    checks = ((name, _check_of(hint)) for name, hint in _hints(struct).items())
    return tuple((name, check) for name, check in checks if check is not None)


@cache
def field_clips(struct: type) -> tuple[tuple[str, Clip], ...]:
    """The fields of a struct whose texts are cut when it is built, each with what cuts them."""
    clips = ((name, _clip_of(hint)) for name, hint in _hints(struct).items())
    return tuple((name, clip) for name, clip in clips if clip is not None)


def _hints(struct: type) -> dict[str, Any]:
    return get_type_hints(struct, include_extras=True)


def _check_of(hint: Any) -> Check | None:
    origin = get_origin(hint)
    if origin is Annotated:
        return _check_of_annotated(hint)
    if origin in (Union, UnionType):
        return _check_of_union(get_args(hint))
    if origin is tuple:
        return _check_each(get_args(hint)[0], lambda values: values)
    if origin is dict:
        return _check_each(get_args(hint)[1], lambda values: values.values())
    return (
        _check_of_annotated(Annotated[Decimal, ANY_DECIMAL])
        if hint is Decimal
        else _DATES.get(hint)
    )


_DATES: dict[Any, Check] = {dt.datetime: instant_problem, dt.date: date_problem}


def _check_of_annotated(hint: Any) -> Check | None:
    base, *metadata = get_args(hint)
    allowed = next((each for each in metadata if isinstance(each, DecimalRange)), None)
    if allowed is None:
        return _check_of(base)
    bounds = allowed
    return lambda value: decimal_problem(value, bounds)


def _check_of_union(members: tuple[Any, ...]) -> Check | None:
    """The check of the only member that needs one; None in its place passes."""
    checks = [check for check in map(_check_of, members) if check is not None]
    if not checks:
        return None
    (check,) = checks
    return lambda value: "" if value is None else check(value)


def _check_each(member: Any, members: Callable[[Any], Any]) -> Check | None:
    check = _check_of(member)
    if check is None:
        return None
    return lambda values: next((why for each in members(values) if (why := check(each))), "")


def _clip_of(hint: Any) -> Clip | None:
    """Of a text, a tuple of texts, or a dict of texts."""
    origin = get_origin(hint)
    if origin is Annotated:
        base, *metadata = get_args(hint)
        length = next((each.length for each in metadata if isinstance(each, Clipped)), None)
        return _clip_of(base) if length is None else _cut_to(length)
    if origin is tuple:
        return _cut_each(get_args(hint)[0])
    return _cut_values(get_args(hint)[1]) if origin is dict else None


def _cut_to(length: int) -> Clip:
    return lambda text: text if len(text) <= length else text[:length]


def _cut_each(item: Any) -> Clip | None:
    clip = _clip_of(item)
    return None if clip is None else lambda texts: tuple(map(clip, texts))


def _cut_values(item: Any) -> Clip | None:
    clip = _clip_of(item)
    return None if clip is None else lambda texts: {key: clip(text) for key, text in texts.items()}
