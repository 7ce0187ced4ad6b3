"""`kobe preflight`: what a stack of this mode needs, checked before it starts."""

import os
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, print_lines
from shared.domain.errors import UserError

MARKS = {"ok": "✓", "failed": "✗", "not checked": "–"}
STYLES = {"ok": "", "failed": "red", "not checked": "dim"}


def preflight(
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Read variables from this file too.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check everything a stack of this mode needs before starting it."""
    from services.console.stack.preflight import exit_code, run_checks

    results = run_checks({**_variables(env_file), **os.environ})
    code = exit_code(results)
    if as_json:
        print_json({"ok": code == 0, "exit_code": code, "checks": results})
        return code
    for result in results:
        what = result.what if result.state != "not checked" else f"{result.what} not checked"
        line = f"{MARKS[result.state]} {what}: {result.sentence}."
        print_lines([line], style=STYLES[result.state])
    return code


def _variables(file: Path | None) -> dict[str, str]:
    """Raises UserError if the file sets nothing: then it is surely not the one meant."""
    if file is None:
        return {}
    from shared.runtime.config.environment import MISSING_KEYS, read_env_file

    found = read_env_file(file)
    if not any(found.values()):
        raise UserError(
            f"{file} sets no variable; fill it in (see .env.example).", exit_code=MISSING_KEYS
        )
    return found
