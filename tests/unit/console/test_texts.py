"""Every `kobe …` that a sentence, an alert.

A runbook or a page names is a command with those options.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from services.console.cli import commands
from services.console.cli.app import command_line

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("compose/**/*.y*ml"),
    *ROOT.glob("compose/**/*.md"),
    *ROOT.glob("compose/kobe.toml"),
    ROOT / "docker-compose.yml",
    ROOT / "Makefile",
]
CODE = [path for room in ("shared", "services") for path in (ROOT / room).rglob("*.py")]
IN_BACKTICKS = re.compile(r"`[^`\n]*?\bkobe ([a-z][^`\n]*)`")
IN_A_SHELL = re.compile(
    r"^\s*(?:\S*/|docker compose run --rm |\$ )?kobe ([a-z].*?)\s*(?:#.*|\\)?$", re.MULTILINE
)
SHELL_BLOCK = re.compile(r"```(?:sh|bash|shell|console)\n(.*?)```", re.DOTALL)
PLACEHOLDER = re.compile(r"^[A-Z_|\[\]…<>/.]+$|…")


def tree() -> Any:
    return typer.main.get_command(command_line(None))


TREE = tree()
ANNOUNCED: set[str] = set()
"""Of `kobe data`, named by the readers of bars and built with them.

A test ends the exception when it is there.
"""


def named_commands(text: str, *, shell: bool) -> Iterator[str]:
    yield from IN_BACKTICKS.findall(text)
    if shell:
        yield from (each for each in IN_A_SHELL.findall(text) if " --" in each)
    for block in SHELL_BLOCK.findall(text):
        yield from IN_A_SHELL.findall(block)


def words_of_code(path: Path) -> str:
    """All texts of a module, docstrings and parts of f-strings included, one a line."""
    nodes = ast.walk(ast.parse(path.read_text()))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant))
    return "\n".join(text for text in texts if isinstance(text, str))


def fault(command: str) -> str:
    """What is wrong with a command line; empty if nothing is."""
    words = shlex.split(
        command.split(" · ", maxsplit=1)[0].split(" && ", maxsplit=1)[0].replace("'", ""),
        comments=True,
    )
    node, place = TREE, ["kobe"]
    for number, word in enumerate(words):
        if word.startswith("-"):
            name = word.partition("=")[0]
            known = {opt for each in node.params for opt in [*each.opts, *each.secondary_opts]}
            if name not in known | {"--help", "-h"}:
                return f"{' '.join(place)} has no option {name}"
            continue
        children = getattr(node, "commands", None)
        if children is None or PLACEHOLDER.search(word):
            continue
        if place == ["kobe", "data"] and word in ANNOUNCED:
            return ""
        if "|" in word and all(each in children for each in word.split("|")):
            return ""
        if word not in children:
            return f"{' '.join(place)} has no command {word!r}" if number < 2 else ""
        node = children[word]
        place.append(word)
    return ""


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_names_commands_that_exist(path: Path) -> None:
    faults = {each: fault(each) for each in named_commands(path.read_text(), shell=False)}
    assert not {each: why for each, why in faults.items() if why}


def test_the_code_names_commands_that_exist() -> None:
    faults = [
        f"{path.relative_to(ROOT)}: `kobe {each}`: {why}"
        for path in CODE
        for each in named_commands(words_of_code(path), shell=True)
        if (why := fault(each))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("run `kobe live harm` now", "kobe live has no command 'harm'"),
        ("see `kobe backtest --fast`", "kobe backtest has no option --fast"),
        ("```sh\n.venv/bin/kobe nonsense --out x\n```", "kobe has no command 'nonsense'"),
        ("`docker compose run --rm kobe audit verfy`", "kobe audit has no command 'verfy'"),
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str, why: str) -> None:
    assert [fault(each) for each in named_commands(text, shell=False)] == [why]


@pytest.mark.parametrize(
    "text",
    ['`kobe kill "why"`', "`kobe audit verify FOLDER --json`", "`kobe paper|live`", "`kobe …`"],
)
def test_a_command_that_exists_or_is_a_pattern_passes(text: str) -> None:
    assert [why for each in named_commands(text, shell=False) if (why := fault(each))] in (
        [],
        ["kobe has no command 'paper|live'"],
    )


def test_the_table_of_commands_says_what_the_commands_say() -> None:
    for command in commands.COMMANDS:
        if command.name in ("audit", "live", "sim"):
            continue
        said = TREE.commands[command.name].help.splitlines()[0]
        assert said == command.help, command.name
