"""`kobe preflight`: what a stack of this mode needs, checked before it starts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, terminal
from services.console.stack.preflight import run_checks
from shared.runtime.config.environment import read_env_file


def preflight(
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Read variables from this file too.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Check configuration, keys, broker and data before starting a stack.

    Exit codes: 0 ok, 2 keys missing, 3 configuration, 4 a probe failed.
    """
    environ = {**(read_env_file(env_file) if env_file else {}), **os.environ}
    found = run_checks(environ)
    code = found[-1].exit_code
    if as_json:
        print_json({"ok": code == 0, "exit_code": code, "findings": found})
        return code
    for finding in found:
        terminal.print(
            f"{'✗' if finding.exit_code else '✓'} {finding.what}: {finding.sentence}.",
            soft_wrap=True,
        )
    return code
