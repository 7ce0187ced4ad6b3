"""`kobe sim fault`: make the simulated broker misbehave, to see what the system does about it."""

import os
from typing import Annotated

import msgspec
import typer

from services.console.cli.output import AsJson, print_json, print_rows
from services.console.stack.address import find_stack
from services.console.stack.sim_broker_client import SimBrokerClient
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonObject

app = typer.Typer(help="Control the simulated broker.", no_args_is_help=True)
fault_app = typer.Typer(
    help="Schedule faults and events at the simulated broker (docs/sim-broker.md lists the kinds).",
    no_args_is_help=True,
)
app.add_typer(fault_app, name="fault")


@fault_app.command("list")
def list_faults(as_json: AsJson = False) -> None:
    """List the faults and events still to come."""
    _print(_broker().faults(), as_json=as_json)


@fault_app.command("add")
def add_fault(
    kind: Annotated[str, typer.Argument(help="What goes wrong: split, delay, stuck_cancel, …")],
    fields: Annotated[
        list[str] | None, typer.Argument(help="Fields of this kind, as name=value.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Schedule one fault or event: `kobe sim fault add split symbol=AAPL new=2`."""
    fault = {"kind": kind, **dict(_field(text) for text in fields or [])}
    _print(_broker().add_fault(fault), as_json=as_json)


@fault_app.command("clear")
def clear_faults(
    fault_id: Annotated[str, typer.Argument(help="The id of one fault; all without it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Clear one fault or event by its id, or all of them."""
    _print(_broker().clear_faults(fault_id), as_json=as_json)


def _broker() -> SimBrokerClient:
    return SimBrokerClient(find_stack(os.environ).broker_url)


def _field(text: str) -> tuple[str, object]:
    """Split name=value; a value that is JSON (a number, true, null) is taken as such."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise UserError(f"{text!r} is no field; write name=value, as in symbol=AAPL.", exit_code=64)
    try:
        return name, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return name, value


def _print(faults: list[JsonObject], *, as_json: bool) -> None:
    if as_json:
        print_json({"faults": faults})
        return
    rows = [
        (
            fault["id"],
            fault["kind"],
            " ".join(
                f"{name}={value}"
                for name, value in fault.items()
                if name not in ("id", "kind") and value not in (None, "", 0)
            ),
        )
        for fault in faults
    ]
    print_rows("Faults", ("id", "kind", "fields"), rows, empty="No fault is scheduled.")
