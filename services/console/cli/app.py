"""`kobe`, the command line: finds the command asked for and turns every failure into one sentence.

With --json a failure is one JSON object on stdout, else a sentence on stderr. Exit codes: see
commands.py, `kobe --help` and docs/reference/commands.md.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from services.console.cli import commands
from services.console.cli.interrupts import postpone_interrupts

ROOM = "services.console.cli"
COMPLETING = "_KOBE_COMPLETE"
"""Set by the shell's completion, which asks for the whole tree of one command."""


def main() -> NoReturn:
    postpone_interrupts()
    code = run(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what remains is Python's own ending
    if code == commands.INTERRUPTED:
        _leave_at_once(code)
    sys.exit(code)


def _leave_at_once(code: int) -> NoReturn:
    """Wait for no thread, and let Python not turn the exit code into a signal."""
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code. Whatever goes wrong is one sentence."""
    try:
        _speak_any_locale()
        return _run(list(arguments) or ["--help"])
    except BaseException as error:  # noqa: BLE001  no traceback reaches a person
        if _is_closed_pipe(error):
            _drop_output()
            return commands.OK
        return _report(error, as_json="--json" in arguments)


def _run(arguments: list[str]) -> int:
    from services.console.cli.output import forget_consoles

    forget_consoles()
    app = command_line(_first_word(arguments))
    code = int(app(args=arguments, standalone_mode=False, prog_name="kobe") or 0)
    if code == commands.INTERRUPTED:  # typer's way to say it
        raise KeyboardInterrupt
    sys.stdout.flush()
    return code


def command_line(first: str | None = None) -> Any:
    """The typer app; only the command named `first` is imported, all of them if it is None."""
    from services.console.cli import tree

    app = tree.empty_app()
    for command in commands.COMMANDS:
        target = _load(command) if first in (None, command.name) else None
        tree.add(app, command, target)
    return app


def _load(command: commands.Command) -> Any:
    module, _, name = command.place.partition(":")
    return getattr(importlib.import_module(f"{ROOM}.{module}"), name)


def _first_word(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    words = environ.get("COMP_WORDS", "").split()[1:] if COMPLETING in environ else arguments
    return next((word for word in words if not word.startswith("-")), "")


def _speak_any_locale() -> None:
    """A character that the terminal's encoding lacks is written as an escape, not an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


def _is_closed_pipe(error: BaseException) -> bool:
    """Whether the reader of our output has had enough; typer turns that into an exit."""
    cause = error.__context__ if isinstance(error, SystemExit) else error
    return isinstance(cause, BrokenPipeError)


def _drop_output() -> None:
    """What Python would still flush to stdout at its end goes nowhere."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _report(error: BaseException, *, as_json: bool) -> int:
    """Say what went wrong; the exit code."""
    from services.console.cli.failures import explain
    from services.console.cli.output import plain, print_json

    sentence, code = explain(error)
    if as_json and sentence:
        try:
            print_json({"error": sentence, "exit_code": code})
        except OSError:  # stdout itself is what failed
            as_json = False
    if sentence and not as_json:
        print(f"kobe: {plain(sentence)}", file=sys.stderr)
    if isinstance(error, OSError):
        _drop_output()
    return code


if __name__ == "__main__":
    main()
