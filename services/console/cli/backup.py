"""`kobe backup`: pack what cannot be made again, judge a backup, lay one out for a new stack."""

import os
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.audit_options import ChainPlace, Keys
from services.console.cli.output import AsJson, print_json, print_rows, terminal
from services.console.stack import backup
from shared.runtime.clock import SystemClock

app = typer.Typer(no_args_is_help=True)
File = Annotated[Path, typer.Argument(help="What `kobe backup create` wrote.")]


@app.command()
def create(
    out: Annotated[Path, typer.Argument(help="The zip file to write; it must not be there yet.")],
    journal: Annotated[
        Path | None, typer.Option("--journal", help="The executor's journal (SQLite).")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="kobe.toml; default: that of KOBE_CONFIG.")
    ] = None,
    keys: Keys = None,
    as_json: AsJson = False,
) -> None:
    """Pack the audit chain, the witness's word, the journal and the configuration; no secrets."""
    place = ChainPlace.find(None, keys)
    # The witness first: it follows the auditor, so what it vouches for is in what is copied next.
    parts = {backup.WITNESS: place.witnesses[0]} if place.witnesses else {}
    parts[backup.AUDIT] = place.folder
    if journal:
        parts[backup.JOURNAL] = journal
    file = config or Path(os.environ.get("KOBE_CONFIG", ""))
    if file.is_file():
        parts[backup.CONFIG] = file
    made = backup.create(out, parts, place.trust, states=_states(), now=SystemClock().now())
    if as_json:
        print_json(made)
        return
    terminal.print(f"✓ {made.records} records and {len(made.files)} files are in {out}.")


@app.command("list")
def list_backups(
    folder: Annotated[Path, typer.Argument(help="The folder that holds backups.")],
    as_json: AsJson = False,
) -> None:
    """List the backups in a folder, oldest first."""
    found = [(file, backup.read_manifest(file)) for file in sorted(folder.glob("*.zip"))]
    found.sort(key=lambda each: each[1].made_at)
    if as_json:
        print_json({"backups": {str(file): manifest for file, manifest in found}})
        return
    rows = [
        (file.name, manifest.made_at.isoformat(timespec="seconds"), manifest.records)
        for file, manifest in found
    ]
    print_rows("Backups", ("file", "made at", "records"), rows, empty="There is no backup here.")


@app.command()
def verify(file: File, keys: Keys = None) -> None:
    """Judge every file of a backup by its digest, and the chain by the pinned keys."""
    verdict = backup.verify(file, ChainPlace.find(None, keys).trust)
    terminal.print(f"✓ {file} is whole: {verdict.height} records, {verdict.sentence}.")


@app.command()
def restore(
    file: File,
    into: Annotated[Path, typer.Option("--into", help="An empty folder for the stack's folders.")],
    keys: Keys = None,
) -> None:
    """Lay a backup out in an empty folder, after verifying it; Redis is not restored.

    A stack on it comes up halted until it has reconciled with the broker and is resumed.
    """
    verdict = backup.restore(file, into, ChainPlace.find(None, keys).trust)
    terminal.print(f"✓ {verdict.height} records are in {into}; the stack comes up halted.")


def _states() -> dict[str, object]:
    """What the services believed, for people to look at; none if Redis does not answer."""
    from services.console.stack.connect import open_client
    from shared.domain.errors import TransientError, UserError
    from shared.schemas.streams import ServiceName

    try:
        reader = open_client(os.environ)
        return {name.value: reader.state(name) for name in ServiceName}
    except (TransientError, UserError):
        return {}
