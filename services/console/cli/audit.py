"""`kobe audit`: check the chain. Works on files alone; no stack need run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from services.auditor.verify import Verdict, verify_folder, verify_legacy
from services.console.address import find_stack
from services.console.cli.output import AsJson, print_json, terminal
from shared.domain.errors import UserError
from shared.runtime.signing import Keyring

app = typer.Typer(help="The audit chain.", no_args_is_help=True)
Keys = Annotated[Path | None, typer.Option("--keys", help="public_keys.json to pin the auditor's key by.")]


@app.callback()
def group() -> None:
    """The audit chain."""


@app.command()
def verify(
    folder: Annotated[Path | None, typer.Argument(help="The chain's folder; default: the running stack's.")] = None,
    legacy: Annotated[Path | None, typer.Option(help="Check a file of this system's predecessor instead.")] = None,
    keys: Keys = None,
    as_json: AsJson = False,
) -> int:
    """Check every link, number and signed checkpoint.

    Exit 0 ok, 3 broken link, 4 truncated, 5 rewritten, 6 bad signature, 7 not canonical, 8 writer gap, 9 torn tail.
    """
    verdict = verify_legacy(legacy) if legacy else verify_folder(_folder(folder), public_key=_pinned(keys))
    if as_json:
        print_json(verdict)
    else:
        _print(verdict)
    return verdict.exit_code


def _folder(folder: Path | None) -> Path:
    return folder or Path(find_stack(os.environ).audit_dir)


def _pinned(keys: Path | None) -> bytes | None:
    """The auditor's public key as pinned in a file; None to take the chain's own word."""
    if keys is None:
        return None
    Keyring.load(keys)
    import base64

    for entry in json.loads(keys.read_text()):
        if entry["owner"] == "auditor":
            return base64.b64decode(entry["public"])
    raise UserError(f"{keys} names no key of the auditor.")


def _print(verdict: Verdict) -> None:
    mark = "✓" if verdict.valid else "✗"
    terminal.print(f"{mark} {verdict.height} records, {verdict.checkpoints} checkpoints: {verdict.sentence}.")
    if verdict.head:
        terminal.print(f"  head {verdict.head}")
