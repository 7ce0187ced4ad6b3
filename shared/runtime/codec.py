"""A service's state as flat hash fields, so that HGETALL shows all it believes; only changes are written.

A member that is a dict becomes one field an item, `name:key`; every other member one field. Values are canonical
JSON. Called by the service loop; knows nothing of any service.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from shared.domain.errors import InvariantBroken
from shared.schemas.envelope import canonical

T = TypeVar("T", bound=msgspec.Struct)


@cache
def _members(state_type: type[msgspec.Struct]) -> dict[str, tuple[bool, Any]]:
    """name -> (is a dict, type of the value or of the dict's values)."""
    hints = typing.get_type_hints(state_type)
    members = {}
    for name in state_type.__struct_fields__:
        hint = hints[name]
        is_dict = typing.get_origin(hint) is dict
        members[name] = (is_dict, typing.get_args(hint)[1] if is_dict else hint)
    return members


def changes(before: msgspec.Struct, after: msgspec.Struct) -> tuple[dict[str, str], list[str]]:
    """Fields to set and fields to remove to get from one state to the next; untouched values cost nothing."""
    changed: dict[str, str] = {}
    removed: list[str] = []
    for name, (is_dict, _) in _members(type(after)).items():
        old, new = getattr(before, name), getattr(after, name)
        if old is new:
            continue
        if not is_dict:
            if old != new:
                changed[name] = canonical(new).decode()
            continue
        removed += [f"{name}:{key}" for key in old if key not in new]
        for key, value in new.items():
            known = old.get(key)
            if known is not value and (key not in old or known != value):
                changed[f"{name}:{key}"] = canonical(value).decode()
    return changed, removed


def state_from(initial: T, fields: Mapping[str, str]) -> T:
    """Read a state back; members without a field keep their initial value, unknown fields are ignored."""
    members = _members(type(initial))
    values: dict[str, Any] = {}
    for field, text in fields.items():
        name, _, key = field.partition(":")
        if name not in members:
            continue
        is_dict, type_ = members[name]
        try:
            value = msgspec.json.decode(text.encode(), type=type_)
        except msgspec.MsgspecError as error:
            raise InvariantBroken(f"state field {field!r} is unreadable: {error}") from error
        if is_dict:
            values.setdefault(name, {})[key] = value
        else:
            values[name] = value
    return msgspec.structs.replace(initial, **values)
