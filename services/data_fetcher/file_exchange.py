"""Bars between files and the archive: files in, one CSV a symbol out, and a check of either.

Called by `kobe data check`, `kobe data import` and `kobe data export`. Files are read by the
reader, archives written by their writer; nothing here judges a bar.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from services.data_fetcher.vendor_registry import ActionsVendor, BarsVendor
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis, adjust_for_splits
from shared.domain.market.bar_check import BarsCheck, check_bars
from shared.domain.market.bars import FIELDS, Panel, align, bars_of
from shared.domain.market.refusals import refuse_impossible
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import MANIFEST
from shared.runtime.atomic_file import write_file
from shared.runtime.bar_files.file_bars import FileBars, ReadOptions
from shared.runtime.bar_files.reader import read_files
from shared.runtime.bar_files.sources import digest_of
from shared.schemas.corporate_actions import CorporateActions, Split

HEAD = "timestamp,symbol,open,high,low,close,volume"
SPLITS = "splits.csv"
SAMPLE_SYMBOLS, SAMPLE_SESSIONS = 10, 60
"""Of a vendor's bars: a few calls on any plan, and a quarter in which most errors show."""


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive holds after an import; `summary` says what was read."""

    summary: str
    digest: str
    symbols: int
    first: dt.date
    last: dt.date
    basis: str
    refused: dict[str, int]
    added: bool


def is_archive(path: Path) -> bool:
    return (path / MANIFEST).is_file()


def check_path(path: Path, options: ReadOptions) -> tuple[BarsCheck, Panel]:
    """The check of files or of an archive, and its bars.

    Raises UserError if there is nothing to read.
    """
    if is_archive(path):
        return check_archive(path)
    read = read_files(path, _accepting(options))
    return check_files(read), read.panel


def _accepting(options: ReadOptions) -> ReadOptions:
    """A check tells of flaws; it does not stop at the first."""
    return ReadOptions(
        accept_flawed=True, splits=options.splits, basis=options.basis, symbols=options.symbols
    )


def check_files(read: FileBars) -> BarsCheck:
    jumps: dict[str, list[str]] = defaultdict(list)
    for jump in read.jumps:
        jumps[jump.symbol].append(f"{jump.session} {jump.new}:{jump.old}")
    return check_bars(
        read.panel,
        source=read.summary,
        basis=read.basis,
        basis_is_guessed=read.is_guessed,
        refused=read.refused,
        refused_by_symbol=Counter(refusal.symbol for refusal in read.refusals),
        jumps=jumps,
        faults=read.objections,
    )


def check_archive(folder: Path) -> tuple[BarsCheck, Panel]:
    """Every file against its digest, every bar against the chain, then what the bars show."""
    archive = BarArchive.open(folder)
    faults = archive.faults()
    if not archive.intact:
        raise UserError(f"The archive {folder} is damaged: {' '.join(faults)}")
    panel = archive.panel()
    jumps: dict[str, list[str]] = defaultdict(list)
    for jump in archive.jumps:
        jumps[jump.symbol].append(f"{jump.session} {jump.ratio}")
    check = check_bars(
        panel,
        source=f"the archive {folder}",
        basis=archive.basis,
        refused=archive.refused,
        refused_by_symbol={} if faults else Counter(each.symbol for each in archive.refusals),
        jumps=jumps,
        faults=faults,
    )
    return check, panel


def vendor_sample(panel: Panel, vendor: BarsVendor, actions: ActionsVendor | None) -> Panel:
    """A vendor's bars of some symbols and the last sessions of a panel, split-adjusted.

    Raises UserError if it has none of them, TransientError if it does not answer.
    """
    step = max(1, len(panel.symbols) // SAMPLE_SYMBOLS)
    symbols = panel.symbols[::step][:SAMPLE_SYMBOLS]
    days: list[dt.date] = panel.sessions[-SAMPLE_SESSIONS:].tolist()
    good, _ = refuse_impossible(vendor.daily_bars(symbols, days[0], days[-1]))
    if not good.row.size:
        raise UserError(f"The vendor has no bars of {', '.join(symbols[:5])} to compare with.")
    if vendor.basis is Basis.RAW and actions is not None:
        splits = actions.corporate_actions(symbols, days[0], days[-1]).splits
        good = adjust_for_splits(good, splits)
    return align(good)


def import_files(path: Path, folder: Path, options: ReadOptions) -> ImportResult:
    """Archive the bars of files: a new archive, or what an archive of that basis has none of yet.

    Raises UserError if they cannot be trusted, or the archive is on another basis.
    """
    read = read_files(path, options)
    bars = bars_of(read.panel)
    source = digest_of(path)
    is_there = BarArchive.exists(folder)
    if is_there:
        kept = BarArchive.open(folder)
        if kept.basis is not read.basis:
            raise UserError(
                f"The archive {folder} is {kept.basis} but {path.name} is {read.basis}; bars of "
                "two bases are never mixed. Name another folder with --archive."
            )
        archive = writer.backfill(folder, bars, source=source, refused=read.refusals)
    else:
        archive = writer.create(
            folder, bars, basis=read.basis, source=source, refused=read.refusals
        )
    return ImportResult(
        summary=read.summary,
        digest=archive.digest(),
        symbols=len(archive.symbols),
        first=archive.sessions[0],
        last=archive.sessions[-1],
        basis=str(archive.basis),
        refused=dict(archive.refused),
        added=is_there,
    )


def export_archive(
    folder: Path, target: Path, *, symbols: Sequence[str] = (), raw: bool = False
) -> list[Path]:
    """One `SYMBOL_START_END.csv` a symbol; with `raw` the bars as archived, and a file of splits.

    Raises UserError for a symbol that the archive does not have.
    """
    archive = BarArchive.open(folder)
    unknown = sorted(set(symbols) - set(archive.symbols))
    if unknown:
        raise UserError(f"The archive {folder} has no bars of {', '.join(unknown[:5])}.")
    panel = archive.raw_panel() if raw else archive.panel()
    written = [_write_symbol(target, panel, symbol) for symbol in symbols or archive.symbols]
    if raw and archive.basis is Basis.RAW:
        written.append(_write_splits(target, archive.actions))
    return written


def _write_symbol(target: Path, panel: Panel, symbol: str) -> Path:
    row = panel.row(symbol)
    columns = np.flatnonzero(np.isfinite(panel.close[row]))
    days = panel.sessions[columns].astype(str).tolist()
    values = [[_number(value) for value in getattr(panel, name)[row, columns]] for name in FIELDS]
    lines = [
        HEAD,
        *(",".join((day, symbol, *bar)) for day, *bar in zip(days, *values, strict=True)),
    ]
    file = target / f"{symbol}_{days[0]}_{days[-1]}.csv"
    write_file(file, "\n".join(lines) + "\n", durable=False)
    return file


def _number(value: float) -> str:
    return np.format_float_positional(value, trim="-")


def _write_splits(target: Path, actions: CorporateActions) -> Path:
    lines = ["symbol,ex_date,ratio", *(_split_line(split) for split in actions.splits)]
    write_file(target / SPLITS, "\n".join(lines) + "\n", durable=False)
    return target / SPLITS


def _split_line(split: Split) -> str:
    return f"{split.symbol},{split.ex_date},{split.new}:{split.old}"
