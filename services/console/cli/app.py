"""`kobe`, the command line: gathers the commands and turns every failure into one sentence.

Exit codes: 0 ok, 1 a check failed or bad input, 2 missing keys or no stack, 3 configuration, 4 a
probe failed, 64 usage, 69 not reachable, 130 interrupted. `kobe audit verify` has its own (see its
help).
"""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import typer

from services.console.cli import replay, research, showdown as compare, walk_forward
from shared.domain.errors import InvariantBroken, TransientError, UserError

USAGE, UNAVAILABLE, INTERRUPTED = 64, 69, 130
UsageError: Any = typer.BadParameter.__mro__[1]


def command_line(first: str = "") -> typer.Typer:
    """All commands; without the stack's clients if the first word is a research command."""
    app = typer.Typer(
        name="kobe",
        help="Trade daily-bar strategies on US stocks: research, paper and live.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    rooms = (research, walk_forward, compare, replay)
    if not any(first in room.COMMANDS for room in rooms):
        _register_stack(app)
    for room in rooms:
        room.register(app)
    app.callback()(lambda: None)
    return app


def _register_stack(app: typer.Typer) -> None:
    from services.console.cli import (
        audit,
        control as halt,
        demo,
        preflight,
        sim,
        status as watch,
    )

    app.command("demo")(demo.demo)
    app.command("preflight")(preflight.preflight)
    for group in (watch, halt):
        group.register(app)
    app.add_typer(audit.app, name="audit")
    app.add_typer(sim.app, name="sim")


def main() -> NoReturn:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """The exit code; whatever goes wrong is reported in one sentence on stderr."""
    try:
        app = command_line(arguments[0] if arguments else "")
        return int(app(args=arguments, standalone_mode=False) or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted.", INTERRUPTED)
    except UserError as error:
        return _say(str(error), error.exit_code)
    except TransientError as error:
        return _say(f"{error}. Is the stack running?", UNAVAILABLE)
    except InvariantBroken as error:
        return _say(str(error), 1)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as error:
        if isinstance(error, UsageError):
            usage: Any = error
            sentence = usage.format_message().rstrip(".")
            return _say(f"{sentence}. Try `kobe --help`.", USAGE)
        raise


def _say(sentence: str, code: int) -> int:
    print(f"kobe: {sentence}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
