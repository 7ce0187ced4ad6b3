"""`kobe kill`, `kobe resume`, `kobe activate`, `kobe reconcile`, `kobe acknowledge`: the operator's hand."""

from __future__ import annotations

import os
from getpass import getuser
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.address import find_stack
from services.console.stack.client import StackClient
from services.console.stack.control_writer import say
from shared.domain.errors import UserError
from shared.runtime.kill.resume import resume as write_resume
from shared.schemas.messages import (
    ActivateRequested,
    DriftAcknowledged,
    KillCleared,
    ReconcileRequested,
)

Why = Annotated[str, typer.Argument(help="Why; it is written into the audit chain.")]


def register(app: typer.Typer) -> None:
    for command in (kill, resume, activate, reconcile, acknowledge):
        app.command()(command)


def kill(why: Why = "by the operator", as_json: AsJson = False) -> None:
    """Stop all new exposure at once. Positions keep their protection; `kobe resume` clears it."""
    operations = StackClient(find_stack(os.environ))
    heard = operations.kill(why)
    if as_json:
        print_json({"published": True, "listeners": heard})
    else:
        terminal.print(
            f"Killed: {heard} listeners heard it. New exposure is stopped until `kobe resume`."
        )


def resume(why: Why = "by the operator", as_json: AsJson = False) -> None:
    """Clear the kills there have been until now; a kill that arrives meanwhile stays."""
    operations = StackClient(find_stack(os.environ))
    view = operations.kill_view()
    if view.last_id is None:
        raise UserError(
            "The kill log is absent from Redis; the stack stays halted. Run the init-streams job first."
        )
    if not view.halted:
        terminal.print("Nothing to clear: no kill is active.") if not as_json else print_json(
            {"cleared": None}
        )
        return
    write_resume(operations.redis, view.last_id, by=getuser(), why=why)
    say(operations, KillCleared(cleared_id=view.last_id, by=getuser(), why=why))
    if as_json:
        print_json({"cleared": view.last_id})
    else:
        terminal.print(
            f"Cleared the kills up to {view.last_id}. A kill file halts until it is removed."
        )


def activate(why: Why) -> None:
    """Move trading from reducing (exits only) back to active."""
    say(StackClient(find_stack(os.environ)), ActivateRequested(by=getuser(), why=why))
    terminal.print("Asked the risk-gate to trade actively again.")


def reconcile() -> None:
    """Have the executor compare orders and positions with the broker now."""
    say(StackClient(find_stack(os.environ)), ReconcileRequested(by=getuser()))
    terminal.print("Asked the executor to reconcile; `kobe positions` shows what it finds.")


def acknowledge(
    symbol: Annotated[str, typer.Argument(help="The symbol you have looked at.")],
) -> None:
    """Say that you have looked at a symbol on which our books and the broker disagreed."""
    say(StackClient(find_stack(os.environ)), DriftAcknowledged(symbol=symbol.upper(), by=getuser()))
    terminal.print(f"{symbol.upper()} may be traded again.")
