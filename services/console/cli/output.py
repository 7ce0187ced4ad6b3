"""How the command line prints: one JSON object with --json, else a table for people."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

UNSEEN_WIDTH = 160
"""Into a pipe or a file there is no width to keep to; every table fits this one."""
errors = Console(stderr=True, highlight=False)
terminal = Console(highlight=False, width=None if sys.stdout.isatty() else UNSEEN_WIDTH)


def print_json(value: Any) -> None:
    print(msgspec.json.encode(value, order="deterministic").decode())


def print_rows(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str
) -> None:
    """A table; numbers (Decimal, int, float, or their texts) are set to the right."""
    lines = [[_text(cell) for cell in row] for row in rows]
    if not lines:
        terminal.print(empty)
        return
    table = Table(title=title, title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        table.add_column(
            column, justify="right" if _numeric(lines[0][index]) else "left", overflow="fold"
        )
    for line in lines:
        table.add_row(*line)
    terminal.print(table)


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in facts.items():
        table.add_row(name, _text(value))
    terminal.print(table)


@contextmanager
def progress(what: str, steps: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while something takes long; call what it yields with steps done."""
    from rich.progress import Progress

    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bars:
        bar = bars.add_task(what, total=steps)
        yield lambda done: bars.advance(bar, done)


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)


def _numeric(text: str) -> bool:
    return text.lstrip("-+$").replace(".", "", 1).replace(",", "").isdigit()
