"""`kobe data check`, `import` and `export`.

What bars are worth, and their way between files and the archive.
"""

import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from services.console.cli.output import AsJson, print_facts, print_json, print_rows, terminal
from services.console.cli.research_options import AcceptFlawed, Adjust, BasisOption, parse_basis
from services.console.stack.vendor_settings import ask_settings, command_environ
from services.data_fetcher import file_exchange as exchange
from services.data_fetcher.vendor_registry import actions_vendor, bars_vendor, offering
from shared.domain.errors import UserError
from shared.domain.market.bar_check import BarsCheck, BarsComparison, SymbolCheck, compare_bars
from shared.domain.market.bars import Panel
from shared.runtime.bar_files.actions import read_splits
from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.config.environment import read_environment

FLAWED = 1
ARCHIVE = "archive"
SHOWN = 20
ArchiveOption = Annotated[
    Path | None, typer.Option("--archive", help="The archive's folder; default: KOBE_ARCHIVE_DIR.")
]


def check(
    path: Annotated[
        str, typer.Argument(help="A file or folder of bars, an archive's folder, or `archive`.")
    ] = ARCHIVE,
    against: Annotated[
        str,
        typer.Option(
            help="Compare with a file, folder or archive, or with a sample of a vendor's."
        ),
    ] = "",
    adjust: Adjust = "",
    basis: BasisOption = "",
    as_json: AsJson = False,
) -> None:
    """Check bars.

    Reach, gaps against the exchange calendar, refused bars, jumps like splits, stale symbols.

    An archive is checked against its digests too. Exit code 0 only if nothing would stop a run.
    """
    options = _options(False, adjust, basis)
    found, panel = exchange.check_path(_path(path), options)
    comparison = compare_bars(*_both(panel, against, options)) if against else None
    if as_json:
        print_json({"check": found, "comparison": comparison})
    else:
        _print_check(found, comparison)
    if found.faults or (comparison and comparison.differing):
        raise typer.Exit(FLAWED)


def import_(
    path: Annotated[Path, typer.Argument(help="A file, a zip or a folder of bars.")],
    archive: ArchiveOption = None,
    accept_flawed: AcceptFlawed = False,
    adjust: Adjust = "",
    basis: BasisOption = "",
    as_json: AsJson = False,
) -> None:
    """Bring bars from files into the archive.

    An archive that is there is added to, never overwritten.
    """
    options = _options(accept_flawed, adjust, basis)
    result = exchange.import_files(path.expanduser(), _archive(archive), options)
    if as_json:
        print_json(result)
        return
    terminal.print(result.summary)
    facts = msgspec.to_builtins(result)
    print_facts("The archive", {name: facts[name] for name in facts if name != "summary"})


def export(
    folder: Annotated[Path, typer.Argument(help="Where to: SYMBOL_START_END.csv for each symbol.")],
    symbols: Annotated[str, typer.Option(help="Only these: AAPL,MSFT. Default: all.")] = "",
    raw: Annotated[
        bool, typer.Option("--raw", help="As archived, with splits.csv, not split-adjusted.")
    ] = False,
    archive: ArchiveOption = None,
    as_json: AsJson = False,
) -> None:
    """Write the archive's bars as CSV files, one a symbol."""
    wanted = [text.strip() for text in symbols.split(",") if text.strip()]
    files = exchange.export_archive(_archive(archive), folder.expanduser(), symbols=wanted, raw=raw)
    if as_json:
        print_json({"files": [str(file) for file in files]})
    else:
        terminal.print(f"{len(files)} files written to {folder}.")


def _both(panel: Panel, against: str, options: ReadOptions) -> tuple[Panel, Panel]:
    """The bars, and those to compare them with: all of a path's, a sample of a vendor's."""
    if against not in offering("bars") or Path(against).exists():
        return panel, exchange.check_path(_path(against), options)[1]
    _, place = ask_settings(command_environ(None, os.environ))
    vendor, actions = bars_vendor(against, place), actions_vendor(against, place)
    return panel, exchange.vendor_sample(panel, vendor, actions)


def _options(accept_flawed: bool, adjust: str, basis: str) -> ReadOptions:
    return ReadOptions(
        accept_flawed=accept_flawed,
        splits=read_splits(Path(adjust).expanduser()) if adjust else (),
        basis=parse_basis(basis),
    )


def _archive(folder: Path | None) -> Path:
    return folder or read_environment(os.environ).archive_dir


def _path(text: str) -> Path:
    path = _archive(None) if text == ARCHIVE else Path(text).expanduser()
    if text == ARCHIVE and not exchange.is_archive(path):
        raise UserError(f"There is no archive in {path} yet; kobe data fetch or import makes one.")
    return path


def _print_check(found: BarsCheck, comparison: BarsComparison | None) -> None:
    terminal.print(found.source)
    print_facts("Bars", _facts(found))
    odd = [each for each in found.symbols if not each.is_clean]
    if odd:
        print_rows(
            f"Symbols with something odd ({len(odd)})",
            ("symbol", "bars", "first", "last", "missing", "refused", "jumps", "sessions behind"),
            [_row(each) for each in odd[:SHOWN]],
            empty="",
        )
    if len(odd) > SHOWN:
        terminal.print(f"… and {len(odd) - SHOWN} more; --json has them all.")
    for fault in found.faults:
        terminal.print(fault)
    if comparison:
        _print_comparison(comparison)


def _facts(found: BarsCheck) -> dict[str, object]:
    guessed = " by its looks" if found.basis_is_guessed else ""
    refused = ", ".join(f"{n} {reason.replace('_', ' ')}" for reason, n in found.refused.items())
    return {
        "symbols": len(found.symbols),
        "sessions": f"{found.sessions}, {found.first} to {found.last}",
        "bars": found.bars,
        "basis": f"{found.basis}{guessed}",
        "bars missing within histories": found.missing,
        "bars refused": refused or "none",
        "jumps like splits": found.jumps,
        "symbols without the last bar": len(found.stale),
        "would stop a run": len(found.faults),
    }


def _row(each: SymbolCheck) -> tuple[object, ...]:
    gaps = ", ".join(str(day) for day in each.missing_first)
    missing = f"{each.missing} ({gaps}{' …' if each.missing > len(each.missing_first) else ''})"
    return (
        each.symbol, each.rows, each.first, each.last, missing if each.missing else 0,
        each.refused, "; ".join(each.jumps), each.sessions_behind,
    )  # fmt: skip


def _print_comparison(comparison: BarsComparison) -> None:
    terminal.print(
        f"{comparison.compared:,} bars of {comparison.symbols} symbols compared, "
        f"{comparison.differing:,} differ."
    )
    print_rows(
        "Differences",
        ("symbol", "session", "field", "here", "there"),
        [(d.symbol, d.session, d.field, d.mine, d.theirs) for d in comparison.differences],
        empty="",
    )
