"""Bars and refusals as Parquet: `symbol, session, open, high, low, close, volume`, sorted by symbol, then session.

Called by the archive's writer. It judges nothing; numbers go to disk exactly as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars
from shared.domain.market.refusals import BarDefect, RefusedBar
from shared.domain.market.sessions import Sessions


def tidy(bars: Bars) -> Bars:
    """Symbols in order and each with a bar; bars by symbol, then session."""
    present = np.bincount(bars.row, minlength=len(bars.symbols)) > 0
    symbols = sorted({symbol for symbol, there in zip(bars.symbols, present, strict=True) if there})
    place = {symbol: row for row, symbol in enumerate(symbols)}
    row = np.array([place.get(symbol, -1) for symbol in bars.symbols], np.int32)[bars.row]
    fields = {name: getattr(bars, name) for name in FIELDS}
    session = bars.session.astype("datetime64[D]")
    if not _ascending(row, session):
        order = np.lexsort((session, row))
        fields = {name: field[order] for name, field in fields.items()}
        row, session = row[order], session[order]
    return Bars(tuple(symbols), row, session, **fields)


def _ascending(row: NDArray[np.int32], session: Sessions) -> bool:
    """Whether they stand by row, then session already: most files do, and sorting costs memory."""
    later = (row[1:] > row[:-1]) | ((row[1:] == row[:-1]) & (session[1:] >= session[:-1]))
    return bool(later.all())


def joined(parts: Sequence[Bars]) -> Bars:
    """All the bars of the parts, in the order of the parts."""
    symbols = tuple(sorted({symbol for part in parts for symbol in part.symbols}))
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = [
        np.array([place[symbol] for symbol in part.symbols], np.int32)[part.row] for part in parts
    ]
    fields = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("session", *FIELDS)
    }
    return Bars(symbols, np.concatenate(rows), **fields)


def write(path: Path, bars: Bars) -> None:
    columns = {
        "symbol": pa.DictionaryArray.from_arrays(
            pa.array(bars.row), pa.array(bars.symbols, pa.string())
        ),
        "session": pa.array(bars.session.astype("datetime64[D]")),
        **{name: pa.array(getattr(bars, name)) for name in FIELDS},
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def read(path: Path) -> Bars:
    """A part as it was written. UserError if it is not there whole."""
    try:
        with pq.ParquetFile(path, read_dictionary=["symbol"]) as file:
            table = file.read()
        symbol = table["symbol"].unify_dictionaries().combine_chunks()
        fields = {name: numbers(table[name]) for name in FIELDS}
        session = days(table["session"])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"The bars in {path} are damaged ({error}); fetch them again.") from error
    return Bars(tuple(symbol.dictionary.to_pylist()), _integers(symbol.indices), session, **fields)


def write_refusals(path: Path, refusals: Sequence[RefusedBar]) -> None:
    texts = {
        "symbol": [refusal.symbol for refusal in refusals],
        "reason": [refusal.reason.value for refusal in refusals],
        "detail": [refusal.detail for refusal in refusals],
        "origin": [refusal.origin for refusal in refusals],
    }
    session = np.array([refusal.session for refusal in refusals], "datetime64[D]")
    columns = {name: pa.array(each, pa.string()) for name, each in texts.items()}
    pq.write_table(pa.table({**columns, "session": pa.array(session)}), path)


def read_refusals(path: Path) -> list[RefusedBar]:
    if not path.is_file():
        return []
    with pq.ParquetFile(path) as file:
        table = file.read()
    texts = [table[name].to_pylist() for name in ("reason", "detail", "origin")]
    return [
        RefusedBar(symbol, day, BarDefect(reason), detail, origin)
        for symbol, day, reason, detail, origin in zip(
            table["symbol"].to_pylist(), days(table["session"]), *texts, strict=True
        )
    ]


def numbers(column: pa.ChunkedArray) -> NDArray[np.floating[Any]]:
    """A column without nulls as it is, another as float64 with NaN; Arrow's own way would import pandas."""
    if not pa.types.is_floating(column.type):
        column = column.cast(pa.float64())
    if column.null_count:
        column = pc.fill_null(column, np.nan)
    floats: Any = np.from_dlpack(column.combine_chunks())
    return cast(NDArray[np.floating[Any]], floats)


def days(column: pa.ChunkedArray) -> Sessions:
    """A column of dates or wall times, without nulls, as datetime64[D]."""
    counted = (
        pc.floor_temporal(column, unit="day") if pa.types.is_timestamp(column.type) else column
    )
    return _integers(counted.cast(pa.date32()).cast(pa.int32()).combine_chunks()).astype(
        "datetime64[D]"
    )


def _integers(array: pa.Array) -> NDArray[np.int32]:
    integers: Any = np.from_dlpack(array)
    return cast(NDArray[np.int32], integers)
