"""`kobe data`: bars into the archive, and what they are worth."""

from __future__ import annotations

import typer

from services.console.cli import data_fetch

app = typer.Typer(help="Fetch bars into the archive.", no_args_is_help=True)
app.command("fetch")(data_fetch.fetch)
app.command("worker")(data_fetch.worker)
