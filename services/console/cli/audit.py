"""`kobe audit`: check the chain, prove a record, check a proof. Works on files alone; no stack is needed."""

from __future__ import annotations

import typer

app = typer.Typer(help="The audit chain: verify, prove, check.", no_args_is_help=True)
