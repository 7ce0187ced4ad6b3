"""What went wrong, as one sentence and an exit code. Imported only when something did."""

import os
import traceback
from typing import Any

import typer

from services.console.cli import commands
from shared.domain.errors import InvariantBroken, TransientError, UserError

USAGE_ERROR: Any = typer.BadParameter.__mro__[1]
"""Typer's own copy of click is private.

The class of all wrong usage is found through a public one.
"""
TRACEBACK = "KOBE_TRACEBACK"
NO_ARGUMENTS = "NoArgsIsHelpError"
"""What typer raises for `kobe audit` alone; its class is in a private module."""


def explain(error: BaseException) -> tuple[str, int]:
    """(sentence, exit code); an empty sentence where everything has been said."""
    if isinstance(error, USAGE_ERROR):
        return _explain_usage(error)
    match error:
        case SystemExit():
            return "", error.code if isinstance(error.code, int) else commands.FAILED
        case typer.Exit():
            return "", error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            return "Interrupted.", commands.INTERRUPTED
        case UserError():
            return str(error), error.exit_code
        case TransientError():
            return f"{str(error).rstrip('.')}. Is the stack running?", commands.UNREACHABLE
        case InvariantBroken():
            return str(error), commands.FAILED
        case OSError() if error.strerror:
            return _of_the_system(error), commands.IO_ERROR
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    return _unforeseen(error), commands.BROKEN


def _explain_usage(error: Any) -> tuple[str, int]:
    context: Any = error.ctx
    if type(error).__name__ == NO_ARGUMENTS:
        print(context.get_help())
        return "", commands.OK
    sentence = error.format_message().strip().rstrip(".")
    stop = "" if sentence.endswith("?") else "."
    command = context.command_path if context else "kobe"
    return f"{sentence}{stop} Try `{command} --help`.", commands.USAGE


def _of_the_system(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror}."


def _unforeseen(error: BaseException) -> str:
    return (
        f"unforeseen {type(error).__name__}: {error}. This is a fault of kobe; "
        f"run the command again with {TRACEBACK}=1 to see where, and report it."
    )
