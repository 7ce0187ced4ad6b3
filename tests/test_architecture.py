"""The house rules that no linter knows.

Sizes, words, rooms. Import directions are import-linter's.
"""

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("shared", "services")
MAX_LINES = 400
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MODULES = [path for path in SOURCES if path.name != "__init__.py"]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=named)
def test_no_file_is_longer_than_the_limit(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_LINES, f"{named(path)} has {lines} lines; split it by what it is about"


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_every_module_says_what_it_is_in_one_to_five_lines(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{named(path)} does not say what it is"
    assert len(docstring.splitlines()) <= 12


def test_the_rooms_of_shared_are_the_five() -> None:
    rooms = {
        path.name
        for path in (ROOT / "shared").iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }
    assert rooms == {"schemas", "domain", "strategies", "rules", "runtime"}


def test_functions_are_short() -> None:
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.end_lineno
    )
    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 28


def test_packages_stay_empty_at_the_top() -> None:
    filled = [
        path
        for path in (ROOT / "shared").rglob("__init__.py")
        if path.read_text().strip() and path.parent.name != "messages"
    ]
    assert not filled, "an __init__ that imports drags its room into every process"


def test_the_registry_of_no_machine_is_named() -> None:
    for lock in (ROOT / "locks").glob("*.txt"):
        assert "://" not in lock.read_text()
