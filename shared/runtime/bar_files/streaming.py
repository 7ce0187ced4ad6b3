"""A large Parquet file in good order straight to a panel, batch by batch, in little memory.

Called by reader.py before anything else. Whatever is unusual (texts, times of day, another order,
many refused bars) is left to the general way: then there is no answer here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars, Panel, round_prices
from shared.domain.market.refusals import (
    DEFECTS,
    BarDefect,
    RefusedBar,
    describe,
    find_defects,
)
from shared.domain.market.sessions import Sessions, is_session
from shared.domain.market.symbols import canonical_symbol
from shared.runtime.bar_files.arrow_tables import PARQUET, parquet_header, refuse_expansion
from shared.runtime.bar_files.columns import PRICE_COLUMNS, Column, is_symbol_name
from shared.runtime.bar_files.headers import Header
from shared.runtime.bar_files.layouts import Layout
from shared.runtime.bar_files.limits import MOST_CELLS, MOST_REFUSED
from shared.runtime.bar_files.sources import TableSource

BATCH = 1 << 12
UNITS_A_DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
READ_AHEAD = 1 << 16
"""Bytes of a column read from disk at a time."""
FIELD_COLUMNS = (*PRICE_COLUMNS, Column.VOLUME)


@dataclass(frozen=True, slots=True, eq=False)
class StreamedBars:
    """The panel of a file, and the few bars of it that were refused."""

    layout: Layout
    panel: Panel
    refused: dict[str, int]
    refusals: tuple[RefusedBar, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Of every row of the file its symbol's place and its day."""

    symbols: tuple[str, ...]
    row: NDArray[np.int32]
    day: NDArray[np.int32]


def stream_panel(source: TableSource) -> StreamedBars | None:
    """None where the file is better read the general way."""
    if source.member or not _is_parquet(source):
        return None
    try:
        with pq.ParquetFile(source.path) as file:
            header = parquet_header(file.schema_arrow)
            if not _is_usual(header, file.schema_arrow) or not file.metadata.num_rows:
                return None
            refuse_expansion(file.metadata, source.path.stat().st_size)
            symbol = file.schema_arrow.names[header.places[Column.SYMBOL]]
        with pq.ParquetFile(source.path, buffer_size=READ_AHEAD, read_dictionary=[symbol]) as file:
            entries = _read_entries(file, header)
            if entries is None or not _is_ascending(entries):
                return None
            return _fill(file, header, entries, source.label)
    except (OSError, pa.ArrowException, UserError, UnicodeDecodeError):
        return None  # the general way says what is wrong


def _is_parquet(source: TableSource) -> bool:
    try:
        with source.path.open("rb") as file:
            return file.read(len(PARQUET)) == PARQUET
    except OSError:
        return False


def _is_usual(header: Header, schema: pa.Schema) -> bool:
    """A column of symbols, one of dates without zones, numbers as numbers, nothing else."""
    places, names = header.places, schema.names
    if header.symbols or set(places) != {Column.SYMBOL, Column.DATE, *FIELD_COLUMNS}:
        return False
    if len(header.symbol_places) != 1 or len(header.date_places) != 1:
        return False
    kinds = {column: schema.field(place).type for column, place in places.items()}
    date, symbol = kinds[Column.DATE], kinds[Column.SYMBOL]
    return (
        is_symbol_name(names[places[Column.SYMBOL]])
        and (pa.types.is_string(symbol) or pa.types.is_large_string(symbol))
        and (pa.types.is_date(date) or (pa.types.is_timestamp(date) and date.tz is None))
        and all(
            pa.types.is_floating(kinds[each]) or pa.types.is_integer(kinds[each])
            for each in FIELD_COLUMNS
        )
    )


def _batches(file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
    yield from file.iter_batches(batch_size=BATCH, columns=names, use_threads=False)


def _read_entries(file: pq.ParquetFile, header: Header) -> _Entries | None:
    """None if a symbol or a date is missing, or a date has a time."""
    names = file.schema_arrow.names
    symbol, date = (names[header.places[each]] for each in (Column.SYMBOL, Column.DATE))
    rows = file.metadata.num_rows
    row, day = np.empty(rows, np.int32), np.empty(rows, np.int32)
    place: dict[str, int] = {}
    first = 0
    for batch in _batches(file, [symbol, date]):
        part = slice(first, first + batch.num_rows)
        texts, dates = batch.column(symbol), batch.column(date)
        if texts.null_count or dates.null_count:
            return None
        codes = [place.setdefault(text, len(place)) for text in texts.dictionary.to_pylist()]
        row[part] = np.array(codes, np.int32)[np.from_dlpack(texts.indices)]
        days, has_time = _days(dates)
        if has_time:
            return None
        day[part] = days
        first += batch.num_rows
    del batch, texts, dates
    pa.default_memory_pool().release_unused()
    spelled = [canonical_symbol(text) for text in place]
    symbols = [symbol for symbol in spelled if symbol]
    if len(set(symbols)) < len(place):
        return None
    ordered = sorted(symbols)
    if ordered != symbols:
        rank = {symbol: at for at, symbol in enumerate(ordered)}
        row = np.array([rank[symbol] for symbol in symbols], np.int32)[row]
    return _Entries(tuple(ordered), row, day)


def _days(dates: pa.Array) -> tuple[NDArray[np.integer[Any]], bool]:
    """Days since 1970, and whether one of them has a time of day."""
    if pa.types.is_date32(dates.type):
        return cast("NDArray[np.int32]", np.from_dlpack(dates.view(pa.int32()))), False
    unit = "ms" if pa.types.is_date64(dates.type) else dates.type.unit
    stamps = cast("NDArray[np.int64]", np.from_dlpack(dates.view(pa.int64())))
    days, rest = np.divmod(stamps, UNITS_A_DAY[unit])
    return days, bool(rest.any())


def _is_ascending(entries: _Entries) -> bool:
    """By symbol, then day, each once: then nothing repeats."""
    row, day = entries.row, entries.day
    later = day[1:] > day[:-1]
    later &= row[1:] == row[:-1]
    later |= row[1:] > row[:-1]
    return bool(later.all())


def _fill(
    file: pq.ParquetFile, header: Header, entries: _Entries, label: str
) -> StreamedBars | None:
    """The panel; None if so many bars are refused that somebody must be told."""
    first, last = int(entries.day.min()), int(entries.day.max())
    span = np.arange(first, last + 1).astype("datetime64[D]")
    traded = is_session(span)
    column = (np.cumsum(traded) - 1).astype(np.int32)
    width = int(traded.sum())
    if not width or len(entries.symbols) * width > MOST_CELLS:
        return None
    fields = {name: np.full((len(entries.symbols), width), np.nan) for name in FIELDS}
    refusals: list[RefusedBar] = []
    for start, bars in _bars(file, header, entries):
        defects = find_defects(bars)
        kept = slice(None) if not defects.any() else defects == 0
        refusals += _refusals(bars, defects, start, label)
        at = column[(bars.session[kept] - span[0]).astype(np.int64)]
        for name in FIELDS:
            values = getattr(bars, name)[kept]
            fields[name][bars.row[kept], at] = values if name == "volume" else round_prices(values)
    panel = Panel(entries.symbols, span[traded], **fields)
    pa.default_memory_pool().release_unused()
    if _has_too_many_refusals(panel, entries, refusals):
        return None
    counts = {each.value: sum(bar.reason is each for bar in refusals) for each in DEFECTS}
    refused = {reason: count for reason, count in sorted(counts.items()) if count}
    return StreamedBars(header.layout, panel, refused, tuple(refusals))


def _bars(file: pq.ParquetFile, header: Header, entries: _Entries) -> Iterator[tuple[int, Bars]]:
    """The bars of each batch, with the row at which it begins."""
    names = file.schema_arrow.names
    columns = [names[header.places[each]] for each in FIELD_COLUMNS]
    start = 0
    for batch in _batches(file, columns):
        part = slice(start, start + batch.num_rows)
        arrays = [batch.column(name) for name in columns]
        if any(array.null_count for array in arrays):
            raise UserError("nulls are read the general way")
        numbers = [cast("NDArray[np.floating[Any]]", np.from_dlpack(each)) for each in arrays]
        days: Sessions = entries.day[part].astype("datetime64[D]")
        yield (
            start,
            Bars(
                entries.symbols, entries.row[part], days, **dict(zip(FIELDS, numbers, strict=True))
            ),
        )
        start += batch.num_rows
        del batch, arrays, numbers
        pa.default_memory_pool().release_unused()


def _refusals(bars: Bars, defects: NDArray[np.int8], start: int, label: str) -> list[RefusedBar]:
    places = np.flatnonzero(defects).tolist()
    found = describe(bars, defects, places)
    return [
        RefusedBar(
            bar.symbol, bar.session, bar.reason, bar.detail, f"{label} row {start + place + 1}"
        )
        for bar, place in zip(found, places, strict=True)
    ]


def _has_too_many_refusals(panel: Panel, entries: _Entries, refusals: list[RefusedBar]) -> bool:
    """Whether a symbol has too many refused bars, or none left."""
    if not refusals:
        return False
    given = np.bincount(entries.row, minlength=len(entries.symbols))
    refused = np.zeros(given.size, np.int64)
    for bar in refusals:
        refused[panel.row(bar.symbol)] += bar.reason is not BarDefect.DUPLICATE
    return bool((refused > MOST_REFUSED * given).any())
