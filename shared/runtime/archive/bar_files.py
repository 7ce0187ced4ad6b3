"""Bars from a user's own files: one Parquet or CSV file, or a folder of them, to rows and to a panel.

Called by the research commands and the folder vendor. It reads what is there; refusing is the
domain's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars, Panel, align
from shared.domain.market.refusals import RefusedBar, refuse_impossible
from shared.domain.market.sessions import Sessions
from shared.runtime.archive.parquet import days, joined, numbers, tidy

DATES = ("timestamp", "date", "session")
_NEW_YORK = str(ZoneInfo("America/New_York"))


def load_bars(path: Path, symbols: Collection[str] = ()) -> tuple[Panel, list[RefusedBar]]:
    """The possible bars of a file or folder as a panel, and every refused one. UserError says what cannot be read.

    `symbols` limits what is loaded (empty: all); one that is not there is a UserError too."""
    good, refusals = refuse_impossible(_chosen(path, symbols))
    if not good.row.size:
        raise UserError(f"{path} holds not one usable bar ({len(refusals)} were refused).")
    return align(tidy(good)), refusals


def _chosen(path: Path, symbols: Collection[str]) -> Bars:
    bars = read_bars(path)
    if not symbols:
        return bars
    missing = sorted(set(symbols) - set(bars.symbols))
    if missing:
        raise UserError(
            f"{path} has no bars of {', '.join(missing[:5])}{' …' if len(missing) > 5 else ''}."
        )
    return bars.only(np.array([symbol in symbols for symbol in bars.symbols])[bars.row])


def read_bars(path: Path) -> Bars:
    """Every bar of a file or folder, in the order they stand there, nothing refused yet."""
    parts = [_read(file) for file in files(path)]
    bars = joined(parts) if len(parts) > 1 else parts[0]
    if not bars.row.size:
        raise UserError(f"{path} holds no bars.")
    return bars


def files(path: Path) -> list[Path]:
    """The file itself, or the Parquet and CSV files of a folder by name."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"{path} is neither a file nor a folder of bars.")
    found = sorted(
        file for file in path.iterdir() if file.suffix.lower() in _READERS and file.is_file()
    )
    if not found:
        raise UserError(f"The folder {path} has no .csv or .parquet files.")
    return found


def digest_of(path: Path) -> str:
    """The digest of a file's or folder's content."""
    digest = hashlib.sha256()
    for file in files(path):
        digest.update(f"{file.name}|{file.stat().st_size}|".encode())
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _read(file: Path) -> Bars:
    reader = _READERS.get(file.suffix.lower())
    if reader is None:
        raise UserError(f"{file} is neither .csv nor .parquet.")
    try:
        table = reader(file)
        table = table.rename_columns([name.strip().lower() for name in table.column_names])
        return _bars(file, table)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file} cannot be read: {str(error).splitlines()[0]}") from error


def _read_csv(file: Path) -> pa.Table:
    return pacsv.read_csv(file)


def _read_parquet(file: Path) -> pa.Table:
    with pq.ParquetFile(file) as opened:  # read_table would import a second's worth more
        return opened.read()


_READERS: dict[str, Callable[[Path], pa.Table]] = {".csv": _read_csv, ".parquet": _read_parquet}


def _bars(file: Path, table: pa.Table) -> Bars:
    date = next((name for name in DATES if name in table.column_names), None)
    missing = [name for name in FIELDS if name not in table.column_names]
    if date is None:
        missing.append(" or ".join(DATES))
    if missing:
        raise UserError(
            f"{file} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}."
        )
    symbols, row = _symbols(file, table)
    session = _sessions(file, table[date])
    bars = Bars(symbols, row, session, **{name: _numbers(table[name]) for name in FIELDS})
    newest_first = len(symbols) == 1 and session.size > 1 and session[0] > session[-1]
    return bars.only(np.arange(session.size)[::-1]) if newest_first else bars


def _symbols(
    file: Path, table: pa.Table
) -> tuple[tuple[str, ...], np.ndarray[Any, np.dtype[np.int32]]]:
    """A file without a symbol column is of the symbol that it is named after."""
    if "symbol" not in table.column_names:
        return (file.stem.upper(),), np.zeros(table.num_rows, np.int32)
    column = table["symbol"]
    if column.null_count:
        raise UserError(f"{file} has {column.null_count} bars without a symbol.")
    encoded = (
        column
        if pa.types.is_dictionary(column.type)
        else pc.dictionary_encode(column.cast(pa.string()))
    )
    encoded = encoded.unify_dictionaries().combine_chunks()
    return tuple(encoded.dictionary.to_pylist()), np.from_dlpack(encoded.indices).astype(np.int32)


def _sessions(file: Path, column: pa.ChunkedArray) -> Sessions:
    """The dates; an instant counts in New York unless all are midnights of their own zone."""
    if column.null_count:
        raise UserError(f"{file} has {column.null_count} bars without a date.")
    if pa.types.is_integer(column.type):
        raise UserError(f"{file}: its dates are numbers; write them as YYYY-MM-DD.")
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = _wall_time(column)
    return days(column)


def _wall_time(column: pa.ChunkedArray) -> pa.ChunkedArray:
    own = pc.local_timestamp(column)
    if pc.all(pc.equal(own, pc.floor_temporal(own, unit="day"))).as_py():
        return own
    return pc.local_timestamp(column.cast(pa.timestamp("us", tz=_NEW_YORK)))


def _numbers(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    """Floats; what is no number becomes NaN, which is refused as a bar later."""
    if (
        pa.types.is_string(column.type)
        or pa.types.is_large_string(column.type)
        or pa.types.is_null(column.type)
    ):
        return np.array([_number(text) for text in column.to_pylist()], np.float64)
    return numbers(column)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
