"""`kobe universe`: build, show, check and compare lists of liquid stocks with listed options."""

import datetime as dt
import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from services.console.cli.data_fetch import EnvFile, progress_lines
from services.console.cli.output import AsJson, print_json, print_rows, terminal
from services.console.stack.vendor_settings import ask_settings, command_environ
from services.data_fetcher.latest_session import last_complete_session
from services.data_fetcher.universe import files
from services.data_fetcher.universe.build import UniverseBuild
from services.data_fetcher.universe.ranking import UniverseProof, UniverseRules
from services.data_fetcher.vendor_registry import bars_vendor, listings_vendor
from shared.domain.errors import TransientError, UserError
from shared.runtime.archive.archive import BarArchive
from shared.runtime.config.universe_list import read_universe

app = typer.Typer(
    help="Build and compare lists of liquid stocks with options.", no_args_is_help=True
)

VENDOR_AWAY = 4
OUT = Path("optionable_liquid_900.csv")
List = Annotated[str, typer.Argument(help="A file of symbols, or `starter`.")]
MinimumPrice = Annotated[float, typer.Option(min=0, help="Closes must be above this.")]
MinimumVolume = Annotated[float, typer.Option(min=0, help="Median dollar volume of the sessions.")]
Cap = Annotated[int, typer.Option(min=1, help="At most so many symbols.")]


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="The list; proofs go beside it as .full.csv.")] = OUT,
    candidates: Annotated[
        str, typer.Option(help="A file of symbols; default: all common stocks the vendor lists.")
    ] = "",
    as_of: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day; default: the last completed session."),
    ] = None,
    vendor: Annotated[str, typer.Option(help="alpaca, massive or multi.")] = "multi",
    cap: Cap = 900,
    minimum_price: MinimumPrice = 5.0,
    minimum_dollar_volume: MinimumVolume = 10_000_000.0,
    concurrency: Annotated[int, typer.Option(min=1, max=64)] = 4,
    env_file: EnvFile = None,
    as_json: AsJson = False,
) -> None:
    """Build a universe as of a day, with a proof for every symbol.

    A day in the past lists the stocks of that day, those delisted since among them. It goes on
    where it was if it is stopped and started again.
    """
    _, place = ask_settings(command_environ(env_file, os.environ))
    screen = Console(stderr=True, highlight=False)
    day = as_of.date() if as_of else last_complete_session(place.clock.now())
    job = UniverseBuild(
        vendor=vendor,
        bars=bars_vendor(vendor, place),
        listings=listings_vendor(vendor, place),
        rules=_rules(minimum_price, minimum_dollar_volume, cap),
        clock=place.clock,
        work=out.parent / f".{out.stem}.work",
        concurrency=concurrency,
        report=progress_lines(screen),
        say=screen.print,
    )
    try:
        proofs = job.run(day, read_universe(candidates) if candidates else ())
    except TransientError as error:
        raise UserError(
            f"{error}. What was fetched is kept: start the same command again to go on.",
            exit_code=VENDOR_AWAY,
        ) from error
    ranking = f"median dollar volume of {job.rules.sessions} sessions"
    head = f"built as of {day} from {vendor}, ranked by {ranking}"
    files.write_universe(out, proofs, head)
    _print_build(out, proofs, as_json=as_json)


@app.command()
def show(universe: List, as_json: AsJson = False) -> None:
    """Show a list, with its proofs where they are."""
    symbols = read_universe(universe)
    file = Path(universe)
    proofs = files.read_proofs(file) if files.proof_file(file).is_file() else []
    by_symbol = {proof.symbol: proof for proof in proofs}
    if as_json:
        print_json({"symbols": symbols, "proofs": [p for p in proofs if p.rank]})
        return
    rows = [_row(symbol, by_symbol.get(symbol)) for symbol in symbols]
    print_rows(
        f"{len(symbols)} symbols",
        ("symbol", "name", "close", "dollar volume", "sessions", "options"),
        rows,
        empty="no symbols",
    )


@app.command()
def validate(
    universe: Annotated[Path, typer.Argument(help="A list with its .full.csv beside it.")],
    cap: Cap = 900,
    minimum_price: MinimumPrice = 5.0,
    minimum_dollar_volume: MinimumVolume = 10_000_000.0,
    as_json: AsJson = False,
) -> None:
    """Check that every symbol of a list has a proof that holds."""
    faults = files.find_faults(universe, _rules(minimum_price, minimum_dollar_volume, cap))
    if as_json:
        print_json({"valid": not faults, "faults": faults})
    else:
        for fault in faults:
            terminal.print(fault)
        if not faults:
            terminal.print("Every symbol has a proof that holds.")
    if faults:
        raise typer.Exit(1)


@app.command()
def earliest(
    universe: List,
    archive: Annotated[Path | None, typer.Option(help="Default: KOBE_ARCHIVE_DIR.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show from which session on each symbol has bars in the archive, and from which all have."""
    folder = archive or Path(os.environ.get("KOBE_ARCHIVE_DIR") or "state/archive")
    panel = BarArchive.open(folder).panel()
    place = {symbol: row for row, symbol in enumerate(panel.symbols)}
    symbols = read_universe(universe)
    known = [symbol for symbol in symbols if symbol in place]
    first = {
        symbol: panel.sessions[int(np.isfinite(panel.close[place[symbol]]).argmax())].item()
        for symbol in known
    }
    missing = [symbol for symbol in symbols if symbol not in place]
    common = max(first.values(), default=None)
    if as_json:
        print_json({"first": first, "all_from": common, "without_bars": missing})
        return
    rows = sorted(first.items(), key=lambda each: (each[1], each[0]), reverse=True)
    print_rows(f"All have bars from {common} on", ("symbol", "first bar"), rows, empty="no bars")
    if missing:
        terminal.print(f"Without bars: {', '.join(missing)}")


@app.command()
def diff(earlier: List, later: List, as_json: AsJson = False) -> None:
    """Show what a later list has more and less than an earlier one."""
    found = files.difference(earlier, later)
    if as_json:
        print_json({"added": found.added, "removed": found.removed, "kept": found.kept})
        return
    terminal.print(f"added {len(found.added)}: {', '.join(found.added) or '-'}")
    terminal.print(f"removed {len(found.removed)}: {', '.join(found.removed) or '-'}")
    terminal.print(f"kept {found.kept}")


def _rules(price: float, volume: float, cap: int) -> UniverseRules:
    return UniverseRules(
        minimum_price=Decimal(repr(price)), minimum_dollar_volume=Decimal(repr(volume)), cap=cap
    )


def _row(symbol: str, proof: UniverseProof | None) -> tuple[object, ...]:
    if proof is None:
        return symbol, "", "", "", "", ""
    volume = f"{proof.dollar_volume:,.0f}" if proof.dollar_volume else ""
    return symbol, proof.name, proof.close, volume, proof.sessions, proof.options


def _print_build(out: Path, proofs: list[UniverseProof], *, as_json: bool) -> None:
    chosen = sum(bool(proof.rank) for proof in proofs)
    reasons: dict[str, int] = {}
    for proof in proofs:
        if proof.left_out:
            reasons[proof.left_out] = reasons.get(proof.left_out, 0) + 1
    if as_json:
        print_json({"chosen": chosen, "left_out": reasons, "file": str(out)})
        return
    left = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())) or "none"
    terminal.print(
        f"{chosen} symbols in {out}, their proofs in {files.proof_file(out)}. Left out: {left}.",
    )
