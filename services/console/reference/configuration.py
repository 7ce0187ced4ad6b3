"""The configuration reference.

Every key of kobe.toml with its default, its range and its comment.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from shared.runtime.config.settings import DEFAULT_FILE
from shared.runtime.config.tables import Config
from shared.schemas.json_types import JsonObject

HEADING = """# Configuration

Made from `compose/kobe.toml` and the types that read it; `make docs` writes it anew. A table `[sim…]`, `[paper…]` or
`[live…]` at the foot of the file says what differs in that mode. The sha256 of the resolved table is the config pin that
every message carries. Rules and strategies have tables of their own, whose keys their files declare.
"""
_TABLE = re.compile(r"^\[([\w.]+)\]")
_KEY = re.compile(r"^(\w+) = ([^#]*?)\s*(?:#\s*(.*))?$")


def configuration_page(file: Path = DEFAULT_FILE) -> str:
    """Return the page as Markdown."""
    text = file.read_text()
    schema = msgspec.json.schema(Config)
    tables = _tables(text)
    parts = [HEADING]
    for table, keys in tables.items():
        if table.split(".")[0] in {"sim", "paper", "live"}:
            continue
        parts.append(
            f"\n## `[{table}]`\n\n| key | default | allowed | what it is |\n|---|---|---|---|\n"
        )
        parts += [
            f"| `{key}` | `{default}` | {_describe_range(schema, table, key)} | {comment} |\n"
            for key, default, comment in keys
        ]
    parts.append("\n## What differs by mode\n\n| table | key | value |\n|---|---|---|\n")
    parts += [
        f"| `[{table}]` | `{key}` | `{default}` |\n"
        for table, keys in tables.items()
        if table.split(".")[0] in {"sim", "paper", "live"}
        for key, default, _ in keys
    ]
    return "".join(parts)


def _tables(text: str) -> dict[str, list[tuple[str, str, str]]]:
    """Table -> its keys with default and comment, in the order of the file."""
    tomllib.loads(text)
    tables: dict[str, list[tuple[str, str, str]]] = {}
    current: list[tuple[str, str, str]] = []
    for line in text.splitlines():
        if heading := _TABLE.match(line):
            current = tables.setdefault(heading[1], [])
        elif key := _KEY.match(line):
            current.append((key[1], key[2], key[3] or ""))
    return {table: keys for table, keys in tables.items() if keys}


def _describe_range(schema: JsonObject, table: str, key: str) -> str:
    """Return what a value may be, in words, from the JSON Schema of the settings."""
    definitions = schema["$defs"]
    node = definitions[Config.__name__]
    for name in (*table.split("."), key):
        node = _resolve(node, definitions).get("properties", {}).get(name, {})
    return " ".join(_words(_resolve(node, definitions)))


def _resolve(node: JsonObject, definitions: JsonObject) -> JsonObject:
    if "$ref" in node:
        return dict(definitions[node["$ref"].rsplit("/", 1)[1]])
    return node


def _words(node: JsonObject) -> Iterator[str]:
    if "enum" in node:
        yield ", ".join(f"`{value}`" for value in node["enum"])
        return
    names = {
        "string": "text",
        "integer": "whole number",
        "array": "list",
        "boolean": "true or false",
    }
    if "type" in node:
        yield names.get(node["type"], str(node["type"]))
    if "minimum" in node and "maximum" in node:
        yield f"from {node['minimum']:,} to {node['maximum']:,}"
