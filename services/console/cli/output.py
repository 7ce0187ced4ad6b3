"""The one printer of the command line: every text is plain, whoever wrote it.

Called by every command. Control characters are shown, never sent to the terminal; markup is never
interpreted. With --json it prints one JSON object instead. rich is imported when something is
printed, so that `kobe --help` starts quickly.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

PIPE_WIDTH = 160
"""A pipe or a file has no width of its own; every table fits this one."""
SEPARATORS = ("Zl", "Zp")


def plain(value: object) -> str:
    r"""The text of a value with everything visible: `\x1b` for an escape, `\n` for a new line."""
    text = "" if value is None else str(value)
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    """Control, format and surrogate characters as escapes; others as they are."""
    kind = unicodedata.category(character)
    hidden = kind.startswith("C") or kind in SEPARATORS
    return ascii(character)[1:-1] if hidden else character


@lru_cache(maxsize=1)
def console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=_width(sys.stdout))


@lru_cache(maxsize=1)
def error_console() -> Console:
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _width(stream: Any) -> int | None:
    return None if stream.isatty() else PIPE_WIDTH


def forget_consoles() -> None:
    """Find the streams anew; `run` does so first, as they may have been replaced."""
    console.cache_clear()
    error_console.cache_clear()


class Terminal:
    """Prints lines of plain text."""

    def print(self, text: object = "", *, style: str = "", soft_wrap: bool = True) -> None:
        """One line, whatever the text; long ones wrap at words unless `soft_wrap`."""
        console().print(_text(text, style), soft_wrap=soft_wrap)


terminal = Terminal()


def print_json(value: Any) -> None:
    """One line of JSON in UTF-8, whatever the locale."""
    line = json_line(value)
    raw = getattr(sys.stdout, "buffer", None)
    sys.stdout.flush()
    if raw is None:
        sys.stdout.write(line + "\n")
        return
    raw.write(line.encode() + b"\n")
    raw.flush()


def json_line(value: Any) -> str:
    import msgspec

    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except UnicodeEncodeError:  # a path that is not UTF-8
        return json.dumps(msgspec.to_builtins(value), sort_keys=True, default=str)


def print_lines(lines: Iterable[object], *, style: str = "") -> None:
    for line in lines:
        terminal.print(line, style=style, soft_wrap=False)


def has_blocks() -> bool:
    """Whether stdout's encoding has block characters."""
    try:
        "▁█".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def print_note(text: str) -> None:
    """One line on stderr, beside the result."""
    error_console().print(_text(text), soft_wrap=True)


def print_warnings(warnings: Iterable[str]) -> None:
    print_lines((f"! {warning}" for warning in warnings), style="yellow")


def print_rows(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str
) -> None:
    """A table with numbers to the right, or a block a row where the terminal is too narrow."""
    lines = [[plain(cell) for cell in row] for row in rows]
    if not lines:
        terminal.print(empty, soft_wrap=False)
    elif _needed_width(columns, lines) <= console().width:
        _print_table(title, columns, lines)
    else:
        _print_blocks(title, columns, lines)


def print_facts(title: str, facts: Mapping[str, object]) -> None:
    """Name and value, one a line."""
    from rich.table import Table

    table = Table(title=_text(title), title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts.items():
        table.add_row(_text(name), _text(value))
    console().print(table)


def print_comparison(
    title: Sequence[str], names: Sequence[str], rows: Iterable[tuple[str, Sequence[object]]]
) -> None:
    """Labelled rows, a column a name; a block a name where the terminal is too narrow."""
    cells = [(label, [plain(cell) for cell in row]) for label, row in rows]
    lines = [[label, *row] for label, row in cells]
    if _needed_width(["", *names], lines) <= console().width:
        _print_table("\n".join(title), ["", *names], lines, wide_title=title)
        return
    print_lines(title, style="italic")
    for place, name in enumerate(names):
        terminal.print(name, style="bold")
        _print_pairs([(label, row[place]) for label, row in cells])


def _print_table(
    title: str,
    columns: Sequence[str],
    lines: Sequence[Sequence[str]],
    wide_title: Sequence[str] = (),
) -> None:
    from rich.table import Table

    if wide_title:
        print_lines(wide_title, style="italic")
    table = Table(
        title=None if wide_title else _text(title), title_justify="left", header_style="bold"
    )
    for index, column in enumerate(columns):
        numeric = any(_is_number(line[index]) for line in lines)
        table.add_column(_text(column), justify="right" if numeric else "left")
    for line in lines:
        table.add_row(*map(_text, line))
    console().print(table)


def _print_blocks(title: str, columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    terminal.print(title, style="italic")
    for line in lines:
        terminal.print(line[0], style="bold")
        pairs = zip(columns[1:], line[1:], strict=True)
        _print_pairs([(name, cell) for name, cell in pairs if cell])


def _print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(overflow="fold")
    for name, cell in pairs:
        table.add_row(_text(f"  {name}"), _text(cell))
    console().print(table)


def _needed_width(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> int:
    """Of a table with its frame, in cells."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(cell) for cell in (column, *(line[index] for line in lines)))
        for index, column in enumerate(columns)
    ]
    return sum(width + 3 for width in widths) + 1


@contextmanager
def progress(what: str, steps: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while something takes long; call what it yields with steps done."""
    from rich import progress as bar_parts

    screen = error_console()
    columns = (
        bar_parts.TextColumn("{task.description}", markup=False),
        bar_parts.BarColumn(),
        bar_parts.MofNCompleteColumn(),
        bar_parts.TimeElapsedColumn(),
        bar_parts.TimeRemainingColumn(compact=True),
    )
    with bar_parts.Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as bars:
        bar = bars.add_task(what, total=steps)
        yield lambda done: bars.advance(bar, done)


def number(value: Any, form: str) -> str:
    """Formatted, or a dash for what cannot be computed."""
    return "–" if value is None else format(value, form)


def _text(value: object, style: str = "") -> Text:
    from rich.text import Text

    return Text(plain(value), style=style)


def _is_number(text: str) -> bool:
    return text.lstrip("-+$").rstrip("%").replace(".", "", 1).replace(",", "").isdigit()
