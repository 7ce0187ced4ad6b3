"""Files of splits, as vendors and people keep them, for prices that are not adjusted yet.

Called with what --adjust names, and by `kobe data import`. Dividends in such a file are kept aside:
strategies run on split-adjusted prices.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.domain.errors import UserError
from shared.domain.market.sessions import next_session
from shared.domain.market.symbols import canonical_symbol
from shared.runtime.bar_files import arrow_tables, text_tables
from shared.runtime.bar_files.columns import Column, column_names, normal
from shared.runtime.bar_files.dates import read_dates
from shared.runtime.bar_files.names import read_name
from shared.runtime.bar_files.sources import TableSource, read_bytes
from shared.schemas.corporate_actions import Split

DATE = ("exdate", "executiondate", "date", "effectivedate", "processdate", "splitdate", "day")
RATIO = ("ratio", "splitratio", "splitfactor", "stocksplits", "value", "factor", "splits", "split")
NEW = ("splitto", "new", "newrate", "tofactor", "numerator")
OLD = ("splitfrom", "old", "oldrate", "forfactor", "denominator")
KIND = ("type", "actiontype", "action", "catype", "kind")
SPLIT_KINDS = ("split", "forwardsplit", "reversesplit", "stocksplit", "stockdividend")
LEAN_FACTORS = frozenset(("date", "pricefactor", "splitfactor"))
LARGEST_TERM = 1000
"""1.33333 is 4:3: ratios are whole shares, and vendors cut their decimals."""

Cells = Mapping[str, list[str]]


def read_splits(path: Path) -> tuple[Split, ...]:
    """The splits of a file: symbol, ex_date and a ratio (`7:1`, `7`, or split_to and split_from).

    Raises UserError if it has no such columns, or a row makes no sense.
    """
    try:
        cells = _cells(path)
        if cells.keys() >= LEAN_FACTORS:
            return _lean_splits(path, cells)
        return _table_splits(path, cells)
    except UserError as error:
        raise UserError(f"The splits in {path.name} cannot be read: {error}") from error


def _cells(path: Path) -> Cells:
    """Columns of texts by their normal name."""
    if not path.is_file():
        raise UserError("there is no such file.")
    source = TableSource(path, path.name)
    content = read_bytes(source)
    if content.startswith(arrow_tables.PARQUET):
        return _parquet_cells(content)
    lines = text_tables.utf8(content).decode("utf-8", "replace").split("\n")
    for delimiter in text_tables.DELIMITERS:
        rows = [row for row in text_tables.split_cells(lines, delimiter) if any(row)]
        if rows and len(rows[0]) > 1:
            names = [normal(name) for name in rows[0]]
            rows = [row for row in rows[1:] if len(row) == len(names)]
            return {name: [row[at] for row in rows] for at, name in enumerate(names)}
    raise UserError("it has no columns.")


def _parquet_cells(content: bytes) -> Cells:
    with pq.ParquetFile(pa.py_buffer(content)) as file:
        table = file.read()
    return {
        normal(name): [
            "" if value is None else str(value)
            for value in pc.cast(table[name], pa.string()).to_pylist()
        ]
        for name in table.column_names
    }


def _table_splits(path: Path, cells: Cells) -> tuple[Split, ...]:
    dates = _column(cells, DATE, "date (ex_date)")
    ratios = _ratios(cells)
    symbols = _symbols(path, cells)
    days = read_dates(pa.chunked_array([pa.array(dates, pa.string())])).session
    kinds = next((cells[name] for name in KIND if name in cells), None)
    splits = []
    for at, ratio in enumerate(ratios):
        if kinds and normal(kinds[at]) not in SPLIT_KINDS:
            continue
        if not ratio.strip() or parse_ratio(ratio) in (0, 1):
            continue  # how vendors write that there was none
        splits.append(_split(symbols[at], days[at].item(), ratio, at + 2))
    return tuple(sorted(splits, key=lambda split: (split.ex_date, split.symbol)))


def parse_ratio(text: str) -> Fraction | None:
    """`7:1`, `7/1`, `7-for-1`, `7.0` as a fraction of small whole numbers."""
    plain = text.lower().replace("-for-", ":").replace(" for ", ":").replace("/", ":")
    new, _, old = plain.partition(":")
    try:
        value = Fraction(new.strip()) / Fraction(old.strip() or "1")
    except (ValueError, ZeroDivisionError):
        return None
    near = value.limit_denominator(LARGEST_TERM)
    return near if abs(near - value) <= abs(value) / 10_000 else value


def _split(symbol: str, day: object, text: str, row: int) -> Split:
    ratio = parse_ratio(text)
    if not isinstance(day, dt.date) or ratio is None or ratio <= 0:
        raise UserError(f"row {row} ({symbol}, {day}, {text}) is no split.")
    return Split(
        symbol=symbol, ex_date=day, new=Decimal(ratio.numerator), old=Decimal(ratio.denominator)
    )


def _ratios(cells: Cells) -> Sequence[str]:
    new = next((cells[name] for name in NEW if name in cells), None)
    old = next((cells[name] for name in OLD if name in cells), None)
    if new and old:
        return [f"{one}:{other}" for one, other in zip(new, old, strict=True)]
    return _column(cells, RATIO, "ratio")


def _symbols(path: Path, cells: Cells) -> list[str]:
    names = [normal(name) for name in column_names(Column.SYMBOL)]
    texts = next((cells[name] for name in names if name in cells), None)
    if texts is None:
        symbol = read_name(path.name).symbol
        if symbol is None:
            raise UserError("it has no column symbol.")
        return [symbol] * max((len(each) for each in cells.values()), default=0)
    symbols = [canonical_symbol(text) for text in texts]
    if None in symbols:
        raise UserError(f"{texts[symbols.index(None)]!r} is no symbol.")
    return [symbol for symbol in symbols if symbol]


def _column(cells: Cells, names: Sequence[str], what: str) -> list[str]:
    found = next((cells[name] for name in names if name in cells), None)
    if found is None:
        raise UserError(f"it has no column {what}.")
    return found


def _lean_splits(path: Path, cells: Cells) -> tuple[Split, ...]:
    """QuantConnect's factor files.

    A row holds through its date, the next one from the next session.
    """
    symbols = _symbols(path, cells)
    days = read_dates(pa.chunked_array([pa.array(cells["date"], pa.string())])).session
    rows = sorted(zip(symbols, days.tolist(), cells["splitfactor"], strict=True))
    splits = []
    for (symbol, day, factor), (following, _, later) in pairwise(rows):
        ratio = Fraction(later) / Fraction(factor)
        near = ratio.limit_denominator(60)
        if symbol == following and near != 1:
            splits.append(_split(symbol, next_session(day).item(), str(near), 0))
    return tuple(splits)
