"""The reference of the command line: every command with its arguments, options and exit codes."""

from collections.abc import Iterator
from typing import Any

import typer.main

from services.console.cli.app import command_line
from services.console.cli.commands import EXIT_CODES

HEADING = """# Commands

Made from the program itself; `make docs` writes it anew. `--json` prints one JSON document, errors included.
"""


def commands_page() -> str:
    """Return the page as Markdown."""
    root = typer.main.get_command(command_line())
    rows = (f"| {code} | {words} |\n" for code, words in EXIT_CODES.items())
    table = "".join(["\n| exit code | what it means |\n|---|---|\n", *rows])
    return "".join([HEADING, table, *_pages("kobe", root)])


def _pages(name: str, command: Any) -> Iterator[str]:
    """Yield a section a command.

    Typer brings its own click, so classes are told by what they hold.
    """
    if hasattr(command, "commands"):
        for word, child in sorted(command.commands.items()):
            if not child.hidden:
                yield from _pages(f"{name} {word}", child)
        return
    yield f"\n## `{name}`\n\n{command.help or ''}\n"
    if command.epilog:
        yield f"\n{command.epilog}\n"
    rows = list(filter(None, (_row(parameter) for parameter in command.params)))
    if rows:
        yield "\n| argument or option | what it is | default |\n|---|---|---|\n"
        yield from rows


def _row(parameter: Any) -> str:
    words = parameter.opts + parameter.secondary_opts
    if parameter.param_type_name == "option":
        if parameter.hidden or "--help" in words:
            return ""
        text = parameter.help or ""
    else:
        words, text = [(parameter.name or "").upper()], str(getattr(parameter, "help", "") or "")
    default = parameter.default
    shown = "" if default in (None, False, ()) or callable(default) else f"`{default}`"
    return f"| {', '.join(f'`{word}`' for word in words)} | {_cell(text)} | {shown} |\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
