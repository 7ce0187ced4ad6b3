"""Parquet and Arrow files to a table: only the columns that are needed, and never more than fits.

Called by tables.py. The schema's names are the header; a pandas index is a column like any other.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from shared.domain.errors import UserError
from shared.runtime.bar_files.columns import IDENTIFIERS, WORDS, normal
from shared.runtime.bar_files.headers import Header, missing_columns, read_header
from shared.runtime.bar_files.sources import TableSource

PARQUET, ARROW, FEATHER = b"PAR1", b"ARROW1", b"FEA1"
MOST_ROWS = 60_000_000
"""8,000 symbols of 30 years: more than were ever listed at a time."""
BYTES_A_ROW = 48
MOST_EXPANSION, SMALL = 200, 256 << 20
"""What takes less than a 200th of its size on disk is no market data, but repetition."""


@dataclass(frozen=True, slots=True)
class ArrowTable:
    """`columns` by place in the schema; those that are not needed are None."""

    header: Header
    columns: tuple[pa.ChunkedArray | None, ...]
    names: tuple[str, ...]


def is_arrow(start: bytes) -> bool:
    return start.startswith((PARQUET, ARROW, FEATHER))


def read_arrow(source: TableSource, start: bytes, content: bytes | None = None) -> ArrowTable:
    """The table of a Parquet, Arrow or Feather file, or of its unpacked content.

    Raises UserError if there is none.
    """
    try:
        size = source.path.stat().st_size
        if start.startswith(PARQUET):
            place = str(source.path) if content is None else pa.py_buffer(content)
            return _read_parquet(place, size)
        if start.startswith(FEATHER):
            raise UserError("it is of Feather's first version; write it as Parquet.")
        opened = pa.memory_map(str(source.path)) if content is None else pa.py_buffer(content)
        with pa.ipc.open_file(opened) as file:
            _refuse_many(sum(file.get_batch(i).num_rows for i in range(file.num_record_batches)))
            table = file.read_all()
            table.validate(full=True)
            header = parquet_header(table.schema)
            return ArrowTable(header, tuple(table.columns), tuple(table.column_names))
    except (OSError, pa.ArrowException, MemoryError, UnicodeDecodeError) as error:
        raise UserError(f"it is damaged or cut short: {str(error).splitlines()[0]}.") from error


def _read_parquet(place: object, size: int) -> ArrowTable:
    """read_table would import a second's worth more."""
    with pq.ParquetFile(place) as file:
        names = file.schema_arrow.names
        header = parquet_header(file.schema_arrow)
        refuse_expansion(file.metadata, size)
        needed = _places_to_read(header, names)
    texts = [names[at] for at in needed if pa.types.is_string(file.schema_arrow.field(at).type)]
    columns: list[pa.ChunkedArray | None] = [None] * len(names)
    with pq.ParquetFile(place, read_dictionary=texts) as file:
        for at in needed:  # one by one: decoding all at once needs twice the memory
            columns[at] = file.read(columns=[names[at]]).column(0)
    return ArrowTable(header, tuple(columns), tuple(names))


def parquet_header(schema: pa.Schema) -> Header:
    names = list(schema.names)
    nested = [field.name for field in schema if pa.types.is_nested(field.type)]
    if nested:
        raise UserError(f"its column {nested[0]} is nested; write one value a cell.")
    if len(set(names)) < len(names):
        twin = next(name for name in names if names.count(name) > 1)
        raise UserError(f"two columns are called {twin}; remove one of them.")
    header = read_header([names])
    if header is None:
        lacking = missing_columns(names)
        plural = "s" if len(lacking) > 1 else ""
        raise UserError(f"it lacks the column{plural} {', '.join(lacking)}.")
    return header


def _places_to_read(header: Header, names: list[str]) -> list[int]:
    """Places of the columns that bars are made of, and of those that may name symbols."""
    places = {*header.places.values(), *header.symbol_places, *header.date_places}
    places |= {place for each in header.symbols.values() for place in each.values()}
    if not header.symbol_places and not header.symbols:
        places |= {at for at, name in enumerate(names) if normal(name) not in WORDS}
    places |= {at for at, name in enumerate(names) if normal(name) in IDENTIFIERS}
    return sorted(places)


def _refuse_many(rows: int) -> None:
    if rows > MOST_ROWS:
        raise UserError(
            f"it has {rows:,} rows; at most {MOST_ROWS:,} daily bars are read at a time."
        )


def refuse_expansion(metadata: pq.FileMetaData, size: int) -> None:
    rows = metadata.num_rows
    _refuse_many(rows)
    unpacked = sum(metadata.row_group(at).total_byte_size for at in range(metadata.num_row_groups))
    unpacked = max(unpacked, rows * BYTES_A_ROW)
    if unpacked > max(SMALL, size * MOST_EXPANSION):
        raise UserError(
            f"it unpacks to {unpacked >> 20:,} MiB from {size >> 10:,} KiB; no market data shrinks "
            "like that, so it is not read."
        )
