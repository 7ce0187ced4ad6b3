"""The tree of commands as typer sees it: names, help, sections, exit codes.

Called by app.py and by the tests that hold every text to it. It imports no command.
"""

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from services.console.cli.commands import COMMANDS, EXIT_CODES, SECTIONS, Command, epilog

HELP = "Trade daily-bar strategies on US stocks: research, paper and live."
WHOLE_LINE = 200
"""Longer than any first line of a docstring: nothing is cut."""
WITH_H = {"help_option_names": ["-h", "--help"]}


class PlainGroup(TyperGroup):
    """Lists its commands with their whole help lines."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        rows = [
            (name, command.get_short_help_str(limit=WHOLE_LINE))
            for name in self.list_commands(ctx)
            if (command := self.get_command(ctx, name)) is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class SectionedGroup(TyperGroup):
    """Lists commands under the headings of commands.py, then what the exit codes mean."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        for section in SECTIONS:
            rows = [(each.name, each.help) for each in COMMANDS if each.section == section]
            with formatter.section(section):
                formatter.write_dl(rows)
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), words) for code, words in EXIT_CODES.items()])


def empty_app() -> typer.Typer:
    app = typer.Typer(
        cls=SectionedGroup,
        help=HELP,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=WITH_H,
    )
    app.callback()(_root)
    return app


def add(app: typer.Typer, command: Command, target: Any) -> None:
    """Register a command; without a target, its name and help alone."""
    if isinstance(target, typer.Typer):
        app.add_typer(
            target, name=command.name, help=command.help, epilog=epilog(command),
            cls=PlainGroup, context_settings=WITH_H,
        )  # fmt: skip
        return
    app.command(command.name, epilog=epilog(command), context_settings=WITH_H)(
        target or _placeholder(command)
    )


def _placeholder(command: Command) -> Callable[[], None]:
    def placeholder() -> None:
        raise NotImplementedError(command.name)

    placeholder.__doc__ = command.help
    return placeholder


def _root(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and exit.",
            is_eager=True,
            callback=lambda wanted: _print_version() if wanted else None,
        ),
    ] = False,
) -> None:
    """Nothing of its own."""


def _print_version() -> None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        typer.echo(f"kobe81 {version('kobe81')}")
    except PackageNotFoundError:
        typer.echo("kobe81, from a source tree that is not installed")
    raise typer.Exit
