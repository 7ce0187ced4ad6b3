"""The truth of the archive as Parquet: raw bars, corporate actions, refusals.

Numbers stand as they are.

Called by the archive's writer. Bars are `symbol, session, open, high, low, close, volume`, by
symbol, then session; any Parquet reader can open them. It judges nothing.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars, Panel
from shared.domain.market.refusals import BarDefect, RefusedBar
from shared.domain.market.sessions import Sessions
from shared.schemas.corporate_actions import CashDividend, CorporateActions, Split

ROW_GROUP_SYMBOLS = 64
"""Symbols written together: little memory, and still large row groups for ten years of bars."""


def write(path: Path, bars: Bars | Panel) -> None:
    """Bars by symbol, then session."""
    if isinstance(bars, Panel):
        _write_panel(path, bars)
        return
    order = np.lexsort((bars.session, bars.row))
    fields = {name: getattr(bars, name)[order] for name in FIELDS}
    table = _table(bars.row[order], bars.symbols, bars.session[order], fields)
    pq.write_table(table, path, compression="zstd")


def _write_panel(path: Path, panel: Panel) -> None:
    with pq.ParquetWriter(path, _SCHEMA, compression="zstd") as writer:
        for first in range(0, len(panel.symbols), ROW_GROUP_SYMBOLS):
            last = min(first + ROW_GROUP_SYMBOLS, len(panel.symbols))
            row, column = np.nonzero(np.isfinite(panel.close[first:last]))
            fields = {name: getattr(panel, name)[first:last][row, column] for name in FIELDS}
            table = _table(row, panel.symbols[first:last], panel.sessions[column], fields)
            writer.write_table(table)


def _table(
    row: NDArray[Any], symbols: Sequence[str], session: Sessions, fields: dict[str, NDArray[Any]]
) -> pa.Table:
    names = pa.DictionaryArray.from_arrays(
        pa.array(row.astype(np.int32)), pa.array(symbols, pa.string())
    )
    columns = {name: pa.array(field.astype(np.float64)) for name, field in fields.items()}
    days = pa.array(session.astype("datetime64[D]"))
    return pa.table({"symbol": names, "session": days, **columns}, schema=_SCHEMA)


_SCHEMA = pa.schema(
    [
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        ("session", pa.date32()),
        *((name, pa.float64()) for name in FIELDS),
    ]
)


def read_bars(path: Path) -> Bars:
    """A part as it was written. Raises UserError if it is not there whole."""
    try:
        with pq.ParquetFile(path, read_dictionary=["symbol"]) as file:
            table = file.read()
        symbol = table["symbol"].unify_dictionaries().combine_chunks()
        if isinstance(symbol, pa.ChunkedArray):
            symbol = symbol.chunk(0)
        fields = {name: _floats(table[name]) for name in FIELDS}
        session = _days(table["session"])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"The bars in {path} are damaged ({error}); fetch them again.") from error
    return Bars(tuple(symbol.dictionary.to_pylist()), _integers(symbol.indices), session, **fields)


def write_refusals(refusals: Sequence[RefusedBar], path: Path) -> None:
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
    """Raises UserError if they are not there whole."""
    table = _read(path)
    texts = [table[name].to_pylist() for name in ("reason", "detail", "origin")]
    days = [
        np.datetime64("NaT" if day is None else day, "D") for day in table["session"].to_pylist()
    ]
    return [
        RefusedBar(symbol, day, BarDefect(reason), detail, origin)
        for symbol, day, reason, detail, origin in zip(
            table["symbol"].to_pylist(), days, *texts, strict=True
        )
    ]


def write_actions(actions: CorporateActions, path: Path) -> None:
    """Splits and dividends; decimals as text, exactly as announced."""
    rows = [
        *(("split", each.symbol, each.ex_date, each.new, each.old) for each in actions.splits),
        *(("dividend", each.symbol, each.ex_date, each.amount, 1) for each in actions.dividends),
    ]
    columns = {
        "kind": pa.array([row[0] for row in rows], pa.string()),
        "symbol": pa.array([row[1] for row in rows], pa.string()),
        "ex_date": pa.array([row[2] for row in rows], pa.date32()),
        "new_or_amount": pa.array([str(row[3]) for row in rows], pa.string()),
        "old": pa.array([str(row[4]) for row in rows], pa.string()),
    }
    pq.write_table(pa.table(columns), path, compression="zstd")


def read_actions(path: Path) -> CorporateActions:
    """Raises UserError if they are not there whole."""
    rows = _read(path).to_pylist()
    return CorporateActions(
        splits=tuple(_split(row) for row in rows if row["kind"] == "split"),
        dividends=tuple(_dividend(row) for row in rows if row["kind"] == "dividend"),
    )


def _split(row: dict[str, Any]) -> Split:
    day: dt.date = row["ex_date"]
    new, old = Decimal(row["new_or_amount"]), Decimal(row["old"])
    return Split(symbol=row["symbol"], ex_date=day, new=new, old=old)


def _dividend(row: dict[str, Any]) -> CashDividend:
    day: dt.date = row["ex_date"]
    return CashDividend(symbol=row["symbol"], ex_date=day, amount=Decimal(row["new_or_amount"]))


def _read(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{path} is damaged ({error}); fetch the bars again.") from error


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    floats: Any = np.from_dlpack(column.combine_chunks())
    return cast("NDArray[np.float64]", floats)


def _days(column: pa.ChunkedArray) -> Sessions:
    days = column.cast(pa.int32()).combine_chunks()
    return _integers(days).astype("datetime64[D]")


def _integers(array: pa.Array) -> NDArray[np.int32]:
    integers: Any = np.from_dlpack(array)
    return cast("NDArray[np.int32]", integers)
