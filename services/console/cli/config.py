"""`kobe config`: what a mode's settings are, whether they hold, how they differ, which ran."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from services.console.cli.output import AsJson, print_json, print_rows, terminal
from shared.runtime.config.settings import (
    DEFAULT_FILE,
    config_pin,
    load_settings,
    read_document,
    resolve,
)
from shared.schemas.json_types import JsonMapping, JsonObject
from shared.schemas.values import Mode

app = typer.Typer(no_args_is_help=True)
# The length in which people compare pins; the whole one is in --json.
SHORT = 12
ModeOption = Annotated[
    Mode | None, typer.Option("--mode", help="sim, paper or live; default: KOBE_MODE.")
]
FileArgument = Annotated[
    Path | None, typer.Argument(help="kobe.toml; default: KOBE_CONFIG, else the shipped one.")
]


@app.command()
def show(file: FileArgument = None, mode: ModeOption = None, as_json: AsJson = False) -> None:
    """Show every setting as the mode resolves it, with its dotted name."""
    table = _resolve(file, mode)
    if as_json:
        print_json(table)
        return
    for name, value in _flat(table):
        terminal.print(f"{name} = {_text(value)}")


@app.command()
def validate(file: FileArgument = None, mode: ModeOption = None) -> None:
    """Check names, types and ranges of every setting as a service would at its start."""
    settings = load_settings(_environ(file, mode))
    pin = settings.config_pin[:SHORT]
    terminal.print(f"✓ the settings of {settings.mode.value} are valid; their pin is {pin}….")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(help="A kobe.toml.")],
    new: FileArgument = None,
    mode: ModeOption = None,
    as_json: AsJson = False,
) -> int:
    """Show the settings in which two files differ for a mode; exit code 1 if any does."""
    before, after = dict(_flat(_resolve(old, mode))), dict(_flat(_resolve(new, mode)))
    changed = {
        name: {"old": before.get(name), "new": after.get(name)}
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    }
    if as_json:
        print_json({"changed": changed})
    else:
        rows = [(name, _text(each["old"]), _text(each["new"])) for name, each in changed.items()]
        print_rows("Settings", ("setting", "old", "new"), rows, empty="✓ no setting differs.")
    return int(bool(changed))


@app.command()
def pin(file: FileArgument = None, mode: ModeOption = None) -> None:
    """Print the pin of a mode's settings, for KOBE_CONFIG_PIN."""
    terminal.print(config_pin(_resolve(file, mode)))


@app.command()
def pins(as_json: AsJson = False) -> int:
    """List which settings and which code every session ran with, from the verified audit chain.

    Exit code 1 if a session ran with more than one of either.
    """
    from services.auditor.evidence.sessions import session_pins
    from services.console.cli.audit_options import ChainPlace

    place = ChainPlace.find(None, None)
    place.require_proof()
    found = session_pins(place.folder)
    if as_json:
        print_json({"sessions": found})
    else:
        rows = [
            (each.session, _short(each.config_pins), _short(each.code_digests)) for each in found
        ]
        print_rows("Pins", ("session", "settings", "code"), rows, empty="No session is recorded.")
    return int(any(each.is_mixed for each in found))


def _short(digests: tuple[str, ...]) -> str:
    return ", ".join(each[:SHORT] for each in digests)


def _environ(file: Path | None, mode: Mode | None) -> Mapping[str, str]:
    changes = {"KOBE_CONFIG": str(file)} if file else {}
    return {**os.environ, **changes, **({"KOBE_MODE": mode.value} if mode else {})}


def _resolve(file: Path | None, mode: Mode | None) -> JsonObject:
    environ = _environ(file, mode)
    place = Path(environ.get("KOBE_CONFIG") or DEFAULT_FILE)
    return resolve(read_document(place), Mode(environ.get("KOBE_MODE", Mode.SIM.value)))


def _flat(table: JsonMapping, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in sorted(table.items()):
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _text(value: object) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()
