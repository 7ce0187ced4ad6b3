"""`kobe activate`, `reconcile`, `adopt`, `release`, `acknowledge`: what the operator asks for."""

import os
from getpass import getuser
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.connect import open_client
from services.console.stack.control_writer import send_control
from shared.domain.errors import UserError
from shared.schemas.messages import (
    ActivateRequested,
    AdoptRequested,
    DriftAcknowledged,
    ReconcileRequested,
    ReleaseRequested,
)

Disputed = Annotated[str, typer.Argument(help="A symbol on which our books and the broker differ.")]
Why = Annotated[str, typer.Argument(help="Why; it is written into the audit chain.")]


def activate(why: Why, as_json: AsJson = False) -> None:
    """Move trading from reducing (exits only) back to active."""
    send_control(open_client(os.environ), ActivateRequested(by=getuser(), why=why))
    _confirm({"requested": "activate"}, "Asked the risk-gate to trade actively again.", as_json)


def reconcile(as_json: AsJson = False) -> None:
    """Have the executor compare orders and positions with the broker now."""
    send_control(open_client(os.environ), ReconcileRequested(by=getuser()))
    sentence = "Asked the executor to reconcile; `kobe status` names symbols that differ."
    _confirm({"requested": "reconcile"}, sentence, as_json)


def adopt(symbol: Disputed, as_json: AsJson = False) -> None:
    """Take the broker's shares in a disputed symbol as ours, with our stop for all of them."""
    name = _settle(symbol, AdoptRequested)
    _confirm({"adopted": name}, f"The broker's position in {name} becomes ours.", as_json)


def release(symbol: Disputed, as_json: AsJson = False) -> None:
    """Give a position up: its shares are yours by hand, and our stop is canceled."""
    client, name = open_client(os.environ), symbol.upper()
    from services.console.views.positions import quantities

    held = quantities(client)
    if name not in held:
        raise UserError(f"We do not hold {name}; we hold {', '.join(sorted(held)) or 'nothing'}.")
    send_control(client, ReleaseRequested(symbol=name, by=getuser()))
    _confirm({"released": name}, f"{name} is yours by hand; our stop is canceled.", as_json)


def acknowledge(symbol: Disputed, as_json: AsJson = False) -> None:
    """Leave shares that are not ours where they are; the symbol may be traded again."""
    name = _settle(symbol, DriftAcknowledged)
    _confirm({"acknowledged": name}, f"{name} may be traded again.", as_json)


def _settle(symbol: str, message: type[AdoptRequested | DriftAcknowledged]) -> str:
    """Ask for it if the symbol is one on which books and broker differ."""
    from services.console.views.positions import drifting_symbols

    client, name = open_client(os.environ), symbol.upper()
    known = drifting_symbols(client)
    if name not in known:
        raise UserError(
            f"Our books and the broker do not disagree on {name}; "
            f"they disagree on {', '.join(known) or 'nothing'}."
        )
    send_control(client, message(symbol=name, by=getuser()))
    return name


def _confirm(facts: dict[str, str], sentence: str, as_json: bool) -> None:
    if as_json:
        print_json(facts)
    else:
        terminal.print(sentence)
