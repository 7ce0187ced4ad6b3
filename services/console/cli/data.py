"""`kobe data`: bars into the archive, and what they are worth."""

import typer

from services.console.cli import data_check, data_fetch

app = typer.Typer(help="Fetch, check, import and export bars.", no_args_is_help=True)
app.command("fetch")(data_fetch.fetch)
app.command("check")(data_check.check)
app.command("import")(data_check.import_)
app.command("export")(data_check.export)
app.command("worker")(data_fetch.worker)
