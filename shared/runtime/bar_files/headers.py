"""What the first lines of a table mean: which layout it is, and which column holds what.

Called for text and for Parquet alike, with rows of cells. It never guesses: two columns that may
both be meant are refused, and so is a table that lacks one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.domain.errors import UserError
from shared.domain.market.symbols import canonical_symbol
from shared.runtime.bar_files.columns import (
    PRICE_COLUMNS,
    REQUIRED,
    Column,
    column_names,
    normal,
)
from shared.runtime.bar_files.layouts import WIDE, WIDE_SPLIT, Layout, layout_of

TUPLE = re.compile(r"""^\(\s*['"](?P<one>[^'"]*)['"]\s*,\s*['"](?P<other>[^'"]*)['"]\s*\)$""")
Places = Mapping[Column, int]


@dataclass(frozen=True, slots=True)
class Header:
    """`lines` are the header's own; `places` say which column holds what.

    `symbols` has the places of prices and volume by symbol where the header names symbols, and is
    empty where rows or the file's name do. `symbol_places` are all that may name a symbol.
    """

    layout: Layout
    lines: int
    places: Places
    symbols: Mapping[str, Places] = field(default_factory=dict)
    symbol_places: tuple[int, ...] = ()
    date_places: tuple[int, ...] = ()


def read_header(rows: Sequence[Sequence[str]]) -> Header | None:
    """The header that begins with the first of the rows; None if they are none."""
    if not rows or len(rows[0]) < len(REQUIRED) - 1:
        return None
    return _two_line_header(rows) or _long_header(rows[0]) or _flat_header(rows[0])


def missing_columns(cells: Sequence[str]) -> list[str]:
    """What a header lacks, in words."""
    names = [normal(cell) for cell in cells]
    return [column.value for column in REQUIRED if not _find(names, column)]


def _long_header(cells: Sequence[str]) -> Header | None:
    names = [normal(cell) for cell in cells]
    found = {column: _find(names, column) for column in Column}
    if any(not found[column] for column in REQUIRED):
        return None
    places = {column: each[0] for column, each in found.items() if each}
    if Column.TIME not in places and names[places[Column.DATE]] != "time" and "time" in names:
        places[Column.TIME] = names.index("time")
    for column in (*PRICE_COLUMNS, Column.VOLUME):
        _refuse_twins(cells, names, places[column])
    return Header(
        layout_of(frozenset(names)),
        1,
        places,
        symbol_places=tuple(found[Column.SYMBOL]),
        date_places=tuple(found[Column.DATE]),
    )


def _find(names: Sequence[str], column: Column) -> list[int]:
    """Places of the columns with one of its names, the preferred first."""
    if column is Column.TIME:
        return []
    places = [
        place for name in column_names(column) for place, each in enumerate(names) if each == name
    ]
    is_nameless_index = column is Column.DATE and names[:1] == [""]
    return [*places, 0] if is_nameless_index else places


def _refuse_twins(cells: Sequence[str], names: Sequence[str], place: int) -> None:
    twins = [cells[other].strip() for other, name in enumerate(names) if name == names[place]]
    if len(twins) > 1:
        raise UserError(f"two columns are called {' and '.join(twins)}; remove one of them.")


# --- fields and symbols in the header -------------------------------------------------------------


def _two_line_header(rows: Sequence[Sequence[str]]) -> Header | None:
    """Yfinance and other pandas frames: a line of fields and a line of symbols, in either order."""
    if len(rows) < 2 or len(rows[1]) != len(rows[0]):
        return None
    for fields, names in ((rows[0], rows[1]), (rows[1], rows[0])):
        pairs = {
            place: pair
            for place, (word, name) in enumerate(zip(fields, names, strict=True))
            if place and (pair := _pair(word, name))
        }
        if len(pairs) >= len(rows[0]) - 1:
            return _wide(pairs, 2 + _names_index(rows[2:3]))
    return None


def _names_index(rows: Sequence[Sequence[str]]) -> int:
    """1 for the line that only names the index (`Date,,,`), else 0."""
    return int(any(not any(cell.strip() for cell in row[1:]) for row in rows))


def _flat_header(cells: Sequence[str]) -> Header | None:
    """One line with both in each cell: `('Close', 'AAPL')`, `Close_AAPL`, `AAPL.Close`."""
    pairs = {place: pair for place, cell in enumerate(cells) if (pair := _split_cell(cell))}
    dates = _find([normal(cell) for cell in cells], Column.DATE)
    return _wide(pairs, 1, dates[0]) if pairs and dates else None


def _split_cell(cell: str) -> tuple[Column, str] | None:
    if match := TUPLE.match(cell.strip()):
        return _pair(match["one"], match["other"]) or _pair(match["other"], match["one"])
    for mark in ("_", ".", " ", "|", "-", ":"):
        first, _, rest = cell.strip().partition(mark)
        before, _, last = cell.strip().rpartition(mark)
        pair = _pair(last, before) or _pair(first, rest)
        if pair:
            return pair
    return None


def _pair(word: str, name: str) -> tuple[Column, str] | None:
    column = next(
        (each for each in _WIDE_COLUMNS if normal(word) in column_names(each)),
        None,
    )
    symbol = canonical_symbol(name)
    return (column, symbol) if column and symbol else None


_WIDE_COLUMNS = (*PRICE_COLUMNS, Column.VOLUME, Column.ADJUSTED_CLOSE)


def _wide(pairs: Mapping[int, tuple[Column, str]], lines: int, date: int = 0) -> Header | None:
    symbols: dict[str, dict[Column, int]] = {}
    for place, (column, symbol) in pairs.items():
        if symbols.setdefault(symbol, {}).setdefault(column, place) != place:
            raise UserError(f"two columns hold the {column} of {symbol}; remove one of them.")
    wanted = (*PRICE_COLUMNS, Column.VOLUME)
    whole = {name: each for name, each in symbols.items() if all(one in each for one in wanted)}
    if not whole:
        return None
    if len(whole) < len(symbols):
        name = next(name for name in symbols if name not in whole)
        lacking = [column.value for column in wanted if column not in symbols[name]]
        raise UserError(f"{name} has no column {', '.join(lacking)}.")
    adjusted = any(Column.ADJUSTED_CLOSE in each for each in symbols.values())
    layout = WIDE_SPLIT if adjusted else WIDE
    return Header(layout, lines, {Column.DATE: date}, whole, date_places=(date,))
