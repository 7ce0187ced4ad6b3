"""Announced rows to corporate actions, one by one.

A row that no action can be made of costs only itself.

Used by every vendor of actions; numbers come as the wire has them, dates as text.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from shared.schemas import corporate_actions as ca

ActionT = TypeVar("ActionT", ca.Split, ca.CashDividend, ca.Rename, ca.Removal)
RowT = TypeVar("RowT")


def action(kind: type[ActionT], **fields: Any) -> ActionT | None:
    """None where a field breaks its grammar: no date, no positive number, no symbol."""
    texts = {
        name: repr(value) if isinstance(value, int | float) else value
        for name, value in fields.items()
    }
    try:
        return msgspec.convert(texts, kind, strict=False)
    except (msgspec.ValidationError, ValueError):
        return None


def actions_of(rows: Iterable[RowT], make: Callable[[RowT], ActionT | None]) -> Iterator[ActionT]:
    """What can be made of the rows."""
    return (made for row in rows if (made := make(row)) is not None)


def by_date(each: ca.Split | ca.CashDividend) -> tuple[Any, str]:
    """How actions are ordered: by date, then symbol."""
    return each.ex_date, each.symbol
