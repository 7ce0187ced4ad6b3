"""One table of bars, text or Parquet, long or wide, to arrays of symbols, sessions and numbers.

Called by reader.py, once a file. It says what each cell means; which bars are true is judged later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS
from shared.runtime.bar_files import arrow_tables, lean, text_tables
from shared.runtime.bar_files.columns import PRICE_COLUMNS, Column
from shared.runtime.bar_files.dates import Dates, read_dates
from shared.runtime.bar_files.headers import Header, Places
from shared.runtime.bar_files.layouts import Layout
from shared.runtime.bar_files.names import FileName, read_name
from shared.runtime.bar_files.numbers import Numbers, is_text, read_number_texts, read_numbers
from shared.runtime.bar_files.sources import TableSource, read_bytes
from shared.runtime.bar_files.symbol_columns import SymbolColumn, read_symbols

Rows = NDArray[np.int64]
DAILY_PERIODS = frozenset(("D", "1D", "DAILY", "1DAY", "DAY", "1440", ""))
FIELD_COLUMNS = (*PRICE_COLUMNS, Column.VOLUME)


@dataclass(frozen=True, slots=True, eq=False)
class FileTable:
    """Columns of a file by row, each text read.

    `columns` are all of them, None where not needed.
    """

    header: Header
    names: tuple[str, ...]
    columns: Sequence[pa.ChunkedArray | None]
    malformed: int
    locate: Callable[[Sequence[int]], dict[int, tuple[int, str]]]
    """Row -> line and text; rows from the number of rows on are the malformed ones."""

    def column(self, place: int) -> pa.ChunkedArray:
        column = self.columns[place]
        assert column is not None
        return column


@dataclass(frozen=True, slots=True, eq=False)
class TableBars:
    """The entries of one file. `symbols` are canonical, but for those in `no_symbols`, as written.

    `rows` is the row of the table behind each entry, None where entry and row are the same.
    """

    source: TableSource
    layout: Layout
    symbols: tuple[str, ...]
    no_symbols: frozenset[int]
    row: NDArray[np.int32]
    dates: Dates
    fields: dict[str, Numbers]
    factors: dict[Column, Numbers]
    malformed: int
    locate: Callable[[Sequence[int]], dict[int, tuple[int, str]]]
    table_rows: int
    """Rows of the table; for `locate` the malformed lines come after them."""
    rows: Rows | None = None
    is_other_period: NDArray[np.bool_] | None = None
    has_symbols: bool = True
    """Whether the table says whose bars it has; otherwise the file's name does."""

    def only(self, which: NDArray[np.bool_]) -> "TableBars":
        places = np.flatnonzero(which)
        return replace(
            self,
            row=self.row[places],
            dates=self.dates.take(places),
            fields={name: field[places] for name, field in self.fields.items()},
            factors={name: field[places] for name, field in self.factors.items()},
            rows=places if self.rows is None else self.rows[places],
            is_other_period=None if self.is_other_period is None else self.is_other_period[places],
        )


def read_table(source: TableSource) -> TableBars:
    """The bars of one file. Raises UserError if it is none, or can be read in more than one way."""
    table = _open(source)
    if isinstance(table, TableBars):
        return table
    name = file_name(source)
    bars = _wide(source, table) if table.header.symbols else _long(source, table, name)
    bars = _without_blank_rows(bars)
    _refuse_contradicting_name(bars, name)
    return bars


def file_name(source: TableSource) -> FileName:
    """What the file's name says, or the folder of a partition: `symbol=AAPL/part-0.parquet`."""
    for folder in reversed(source.folders):
        key, _, value = folder.partition("=")
        if key.lower() in ("symbol", "ticker") and value:
            return read_name(value)
    return read_name(source.name)


def _open(source: TableSource) -> FileTable | TableBars:
    start = b"" if source.member else _first_bytes(source.path)
    if arrow_tables.is_arrow(start):
        return _arrow(source, start)
    content = read_bytes(source)
    if arrow_tables.is_arrow(content[:8]):
        return _arrow(source, content[:8], content)
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise UserError("it is a workbook; save its sheet as CSV.")
    if lean.is_lean(content):
        return _lean(source, content)
    return _text(source, content)


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise UserError(f"it cannot be read: {error.strerror}.") from error


def _text(source: TableSource, content: bytes) -> FileTable:
    read = text_tables.read_text(content)

    def locate(rows: Sequence[int]) -> dict[int, tuple[int, str]]:
        return text_tables.find_lines(read_bytes(source), read, rows)

    return FileTable(read.header, read.names, read.columns, len(read.malformed), locate)


def _arrow(source: TableSource, start: bytes, content: bytes | None = None) -> FileTable:
    read = arrow_tables.read_arrow(source, start, content)
    return FileTable(read.header, read.names, read.columns, 0, _row_numbers)


def _row_numbers(rows: Sequence[int]) -> dict[int, tuple[int, str]]:
    return {row: (row + 1, "") for row in rows}


def _lean(source: TableSource, content: bytes) -> TableBars:
    """No header, no symbol, ten-thousandths of a dollar: only the name tells whose they are."""
    read = lean.read_lean(content)
    name = file_name(source)
    if name.symbol is None:
        raise UserError("it has no header, and its name is no symbol.")
    zeros = np.zeros(read.dates.session.size, np.int32)
    return TableBars(
        source, lean.LAYOUT, (name.symbol,), frozenset(), zeros, read.dates, read.fields, {}, 0,
        lambda rows: {row: (row + 1, "") for row in rows}, zeros.size,
    )  # fmt: skip


# --- long: a row is a bar -------------------------------------------------------------------------


def _long(source: TableSource, table: FileTable, name: FileName) -> TableBars:
    header = table.header
    symbols = read_symbols(table.names, table.columns, header, name)
    prices = [table.column(header.places[column]) for column in PRICE_COLUMNS]
    numbers = _numbers(prices, table.column(header.places[Column.VOLUME]))
    factors = {
        column: read_number_texts([], table.column(header.places[column]))[0]
        if is_text(table.column(header.places[column]))
        else read_numbers(table.column(header.places[column]))
        for column in (Column.SPLIT, Column.PRICE_FACTOR)
        if column in header.places
    }
    return TableBars(
        source,
        header.layout,
        symbols.symbols,
        symbols.no_symbols,
        _rows(symbols, len(prices[0])),
        _dates(table),
        dict(zip(FIELDS, numbers, strict=True)),
        factors,
        table.malformed,
        table.locate,
        len(prices[0]),
        is_other_period=_other_periods(table),
        has_symbols=symbols.row is not None,
    )


def _rows(symbols: SymbolColumn, count: int) -> NDArray[np.int32]:
    return np.zeros(count, np.int32) if symbols.row is None else symbols.row


def _numbers(prices: list[pa.ChunkedArray], volume: pa.ChunkedArray) -> list[Numbers]:
    if any(is_text(column) for column in (*prices, volume)):
        texts = [column.cast(pa.string()) for column in (*prices, volume)]
        return read_number_texts(texts[:-1], texts[-1])
    return [read_numbers(column) for column in (*prices, volume)]


def _dates(table: FileTable) -> Dates:
    """The dates, with the times of a column of their own; other dates must say the same."""
    header = table.header
    dates = read_dates(
        table.column(header.places[Column.DATE]), month_first=header.layout.month_first
    )
    if Column.TIME in header.places:
        dates = replace(dates, minute=_times(table.column(header.places[Column.TIME])))
    for place in header.date_places:
        if place != header.places[Column.DATE] and place != header.places.get(Column.TIME):
            _refuse_other_dates(table, place, dates)
    return dates


def _times(column: pa.ChunkedArray) -> NDArray[np.int16]:
    """Times of day as minutes: `16:00`, `160000`, 0."""
    encoded = column.combine_chunks().dictionary_encode()
    texts = ["" if text is None else str(text) for text in encoded.dictionary.to_pylist()]
    minutes = [_minute(text) for text in texts]
    return np.array(minutes or [0], np.int16)[np.array(encoded.indices.fill_null(0), np.int64)]


def _minute(text: str) -> int:
    digits = "".join(each for each in text.split(".", maxsplit=1)[0] if each.isdigit()).zfill(6)
    if ":" in text and text.count(":") == 1:
        digits = text.replace(":", "").strip().zfill(4) + "00"
    return int(digits[:2]) * 60 + int(digits[2:4]) if digits.isdigit() else 0


def _refuse_other_dates(table: FileTable, place: int, dates: Dates) -> None:
    try:
        others = read_dates(table.column(place))
    except UserError:  # numbers of rows, days of a month
        return
    known = ~np.isnat(others.session) & ~np.isnat(dates.session)
    differs = known & (others.session != dates.session)
    if known.any() and differs.any():
        at = int(differs.argmax())
        names = table.names[table.header.places[Column.DATE]], table.names[place]
        raise UserError(
            f"its columns {names[0]} and {names[1]} contradict each other: "
            f"{dates.session[at]} and {others.session[at]} in row {at + 1}; remove one of them."
        )


def _other_periods(table: FileTable) -> NDArray[np.bool_] | None:
    """Rows that say that they are no daily bars."""
    place = table.header.places.get(Column.PERIOD)
    if place is None:
        return None
    encoded = table.column(place).combine_chunks().dictionary_encode()
    others = [
        str(text or "").strip().upper() not in DAILY_PERIODS
        for text in encoded.dictionary.to_pylist()
    ]
    if others and all(others):
        period = encoded.dictionary[0].as_py()
        raise UserError(f"its bars are of the period {period}; daily bars (D) are needed.")
    flags: NDArray[np.bool_] = np.array(others, bool)[np.array(encoded.indices, np.int64)]
    return flags if flags.any() else None


# --- wide: a row is a day -------------------------------------------------------------------------


def _wide(source: TableSource, table: FileTable) -> TableBars:
    header = table.header
    dates = read_dates(
        table.column(header.places[Column.DATE]), month_first=header.layout.month_first
    )
    days = dates.session.size
    each = [_wide_numbers(table, places) for places in header.symbols.values()]
    fields = {
        name: np.concatenate([numbers[at] for numbers in each]) for at, name in enumerate(FIELDS)
    }
    rows = np.tile(np.arange(days), len(each))
    bars = TableBars(
        source,
        header.layout,
        tuple(header.symbols),
        frozenset(),
        np.repeat(np.arange(len(each), dtype=np.int32), days),
        dates.take(rows),
        fields,
        {},
        table.malformed,
        table.locate,
        days,
        rows,
    )
    return bars.only(~np.isnan(np.stack([fields[name] for name in FIELDS])).all(axis=0))


def _wide_numbers(table: FileTable, places: Places) -> list[Numbers]:
    columns = [table.column(places[column]) for column in FIELD_COLUMNS]
    return [numbers.astype(np.float64) for numbers in _numbers(columns[:-1], columns[-1])]


# --- what no row may be ---------------------------------------------------------------------------


def _without_blank_rows(bars: TableBars) -> TableBars:
    """Rows of empty cells, such as spreadsheets leave, are no bars."""
    blank = np.isnat(bars.dates.session)
    if not blank.any():
        return bars
    for name in FIELDS:
        blank &= np.isnan(np.asarray(bars.fields[name], np.float64))
    return bars.only(~blank) if blank.any() else bars


def _refuse_contradicting_name(bars: TableBars, name: FileName) -> None:
    """A name that can be nothing but a symbol, or gives a span of days, must be true."""
    only: Any = bars.symbols[0] if len(bars.symbols) == 1 else None
    if name.certain and only and name.symbol != only and 0 not in bars.no_symbols:
        raise UserError(
            f"it is named after {name.symbol} but holds {only}; rename it, or correct its symbols."
        )
    sessions = bars.dates.session[~np.isnat(bars.dates.session)]
    if name.start and name.end and sessions.size:
        first, last = sessions.min().item(), sessions.max().item()
        if first < name.start or last > name.end:
            raise UserError(
                f"its name says {name.start} to {name.end} but its bars are of {first} to {last}; "
                "rename it."
            )
