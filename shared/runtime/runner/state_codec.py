"""A service's state as flat hash fields: HGETALL shows all it believes; only changes are written.

A member that is a dict becomes one field an item, `name:key`; a part with dicts of its own is laid
out under `name.`; every other member is one field. Values are canonical JSON. Called by the service
loop alone.
"""

import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from shared.domain.errors import InvariantBroken
from shared.schemas.envelope import canonical

T = TypeVar("T", bound=msgspec.Struct)


@cache
def _members(state_type: type[msgspec.Struct]) -> dict[str, tuple[str, Any]]:
    """Name -> (kind, type): `dict` with its values' type, `part` (a struct with dicts), `value`."""
    hints = typing.get_type_hints(state_type)
    return {name: _kind(hints[name]) for name in state_type.__struct_fields__}


def _kind(hint: Any) -> tuple[str, Any]:
    if typing.get_origin(hint) is dict:
        return "dict", typing.get_args(hint)[1]
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        has_dicts = any(kind == "dict" for kind, _ in _members(hint).values())
        return ("part" if has_dicts else "value"), hint
    return "value", hint


def changes(
    before: msgspec.Struct, after: msgspec.Struct, prefix: str = ""
) -> tuple[dict[str, str], list[str]]:
    """Fields to set and to remove from one state to the next; what is equal costs nothing."""
    changed: dict[str, str] = {}
    removed: list[str] = []
    for name, (kind, _) in _members(type(after)).items():
        old, new = getattr(before, name), getattr(after, name)
        if old is new:
            continue
        if kind == "part":
            inner, gone = changes(old, new, f"{prefix}{name}.")
            changed |= inner
            removed += gone
        elif kind == "dict":
            removed += [f"{prefix}{name}:{key}" for key in old if key not in new]
            changed |= {
                f"{prefix}{name}:{key}": canonical(new[key]).decode()
                for key in _keys_to_write(old, new)
            }
        elif old != new:
            changed[f"{prefix}{name}"] = canonical(new).decode()
    return changed, removed


def _keys_to_write(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        key
        for key, value in new.items()
        if key not in old or (old[key] is not value and old[key] != value)
    ]


def state_from(initial: T, fields: Mapping[str, str]) -> T:
    """Read a state back; members without a field keep their initial value.

    Unknown fields are ignored. Raises InvariantBroken if a field is unreadable.
    """
    values: dict[str, Any] = {}
    parts: dict[str, dict[str, str]] = {}
    for field, text in fields.items():
        name, key = _split(field)
        part, dot, rest = name.partition(".")
        kind, type_ = _members(type(initial)).get(part, ("", None))
        if kind == "part" and dot:
            parts.setdefault(part, {})[rest + field[len(name) :]] = text
        elif kind == "dict":
            values.setdefault(name, {})[key] = _read(field, text, type_)
        elif kind == "value":
            values[name] = _read(field, text, type_)
    inner = {name: state_from(getattr(initial, name), texts) for name, texts in parts.items()}
    return msgspec.structs.replace(initial, **values, **inner)


def _split(field: str) -> tuple[str, str]:
    name, _, key = field.partition(":")
    return name, key


def _read(field: str, text: str, type_: Any) -> Any:
    try:
        return msgspec.json.decode(text.encode(), type=type_)
    except msgspec.MsgspecError as error:
        raise InvariantBroken(f"state field {field!r} is unreadable: {error}") from error
