"""No setting without a reader: what kobe.toml and the environment offer steers something."""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from shared.runtime.config.environment import Environment
from shared.runtime.config.tables import Config

ROOT = Path(__file__).resolve().parents[3]
READERS = [
    path
    for room in ("shared", "services")
    for path in (ROOT / room).rglob("*.py")
    if "runtime/config" not in str(path)
]


CONFIGURATION = list((ROOT / "shared" / "runtime" / "config").glob("*.py"))
FOR_VENDORS_TO_COME = {"polygon_api_key"}
""".env.example says that no vendor needs it yet."""


def attributes_read(files: list[Path]) -> set[str]:
    """Every `.name` in these modules."""
    nodes = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    return {node.attr for node in nodes if isinstance(node, ast.Attribute)}


READ = attributes_read(READERS)
READ_AT_ALL = READ | attributes_read(CONFIGURATION)


def fields(struct: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """(where, name) of every setting; tables within tables are followed."""
    for name, kind in typing.get_type_hints(struct).items():
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            yield from fields(kind, f"{place}{name}.")
        else:
            yield f"{place}{name}", name


READ_WITH_THE_SETTINGS = {"universe.list"}
"""Turned into another setting as the file is read (universe.symbols)."""


@pytest.mark.parametrize(("place", "name"), list(fields(Config)))
def test_a_setting_of_kobe_toml_is_read_somewhere(place: str, name: str) -> None:
    assert name in READ or place in READ_WITH_THE_SETTINGS, (
        f"nothing reads {place}: remove it, or do what it promises"
    )


@pytest.mark.parametrize("name", sorted(set(Environment.__struct_fields__) - FOR_VENDORS_TO_COME))
def test_a_variable_of_the_environment_is_read_somewhere(name: str) -> None:
    assert name in READ_AT_ALL
