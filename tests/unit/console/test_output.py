"""The one printer: any text comes out as it is, visible, on any terminal."""

from __future__ import annotations

import io
import json
import sys
import unicodedata

from hypothesis import given, strategies as st

from services.console.cli import output

ANY = st.text(max_size=60) | st.sampled_from(
    [
        "[/all]",
        "[bars]",
        "stop [/all]",
        "[bold red]x",
        "\x1b[31mred",
        "a\nb",
        "\u202eevil",
        "\ud800",
        ":smile:",
    ]
)


def print_with(how: object, *, width: int = 4000) -> str:
    """What `how` prints to a terminal of that width."""
    screen = io.StringIO()
    before, sys.stdout = sys.stdout, screen
    wide_before, output.PIPE_WIDTH = output.PIPE_WIDTH, width
    output.forget_consoles()
    try:
        assert callable(how)
        how()
    finally:
        sys.stdout, output.PIPE_WIDTH = before, wide_before
        output.forget_consoles()
    return screen.getvalue()


def is_harmless(text: str) -> bool:
    """No control character but the new lines we print ourselves."""
    return all(c == "\n" or not unicodedata.category(c).startswith("C") for c in text)


@given(ANY)
def test_plain_text_has_nothing_that_steers_a_terminal(text: str) -> None:
    assert is_harmless(output.plain(text))
    assert "\n" not in output.plain(text)


@given(ANY)
def test_a_line_prints_any_text_whole(text: str) -> None:
    shown = print_with(lambda: output.terminal.print(text))
    assert shown == output.plain(text) + "\n"


@given(ANY, ANY)
def test_tables_and_facts_print_any_text_whole(name: str, cell: str) -> None:
    for shown in (
        print_with(lambda: output.print_rows(name, (name, "b"), [(cell, cell)], empty="")),
        print_with(lambda: output.print_facts(name, {name: cell})),
        print_with(lambda: output.print_comparison((name,), (name,), [(cell, [cell])])),
        print_with(lambda: output.print_warnings([cell])),
    ):
        assert is_harmless(shown)
        assert output.plain(cell).strip() in shown


@given(ANY, st.integers(min_value=20, max_value=60))
def test_a_narrow_terminal_gets_blocks_that_fit(cell: str, width: int) -> None:
    rows = [(cell, "value " * 8), ("other", cell)]
    shown = print_with(
        lambda: output.print_rows("Title", ("name", "what it is"), rows, empty=""), width=width
    )
    assert is_harmless(shown)
    assert "value" in shown


@given(ANY)
def test_json_is_one_line_that_any_parser_reads(text: str) -> None:
    shown = print_with(lambda: output.print_json({"text": text}))
    assert shown.count("\n") == 1
    assert json.loads(shown) == {"text": text}


def test_numbers_stand_at_the_right_and_the_table_says_when_it_is_empty() -> None:
    table = print_with(
        lambda: output.print_rows("T", ("name", "n"), [("a", 5), ("b", 1000)], empty="")
    )
    assert "│ a    │    5 │" in table
    assert print_with(lambda: output.print_rows("T", ("n",), [], empty="None.")) == "None.\n"
