"""Which symbol each row of a table is of: by its column, or by the file's name where it has none.

Called by tables.py. A column that could name symbols decides, or the file is refused: a file of
many companies is never read as one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.symbols import canonical_symbol
from shared.runtime.bar_files.columns import IDENTIFIERS, WORDS, is_symbol_name, normal
from shared.runtime.bar_files.headers import Header
from shared.runtime.bar_files.names import FileName

MOST_SYMBOLS = 100_000
NO_SYMBOL = "(no symbol)"


@dataclass(frozen=True, slots=True)
class SymbolColumn:
    """`row` is the place in `symbols` of each row, None if all are of the one symbol.

    Of `no_symbols` the text is no symbol: those rows are malformed.
    """

    symbols: tuple[str, ...]
    row: NDArray[np.int32] | None
    no_symbols: frozenset[int] = frozenset()


def read_symbols(
    names: Sequence[str],
    columns: Sequence[pa.ChunkedArray | None],
    header: Header,
    file: FileName,
) -> SymbolColumn:
    """The symbols of a long table. Raises UserError if it does not say them without doubt."""
    strong = [place for place in header.symbol_places if is_symbol_name(names[place])]
    if strong:
        first = _read(_column_at(columns, strong[0]))
        for place in strong[1:]:
            _refuse_difference(names, strong[0], place, first, _read(_column_at(columns, place)))
        return first
    for place in header.symbol_places:
        weak = _read(_column_at(columns, place))
        if not weak.no_symbols:
            return weak
        if len(weak.symbols) > 1:
            wrong = weak.symbols[min(weak.no_symbols)]
            raise UserError(
                f"its column {names[place]} holds {wrong!r}, which is no symbol; call the column "
                "of symbols `symbol`."
            )
    _refuse_possible_symbols(names, columns, header)
    if file.symbol is None:
        raise UserError(
            "it has no column of symbols, and its name is none; add a column `symbol`, or name the "
            "file SYMBOL.csv."
        )
    return SymbolColumn((file.symbol,), None)


def _column_at(columns: Sequence[pa.ChunkedArray | None], place: int) -> pa.ChunkedArray:
    column = columns[place]
    assert column is not None
    return column


def _read(column: pa.ChunkedArray) -> SymbolColumn:
    """One spelling for each symbol; what is no symbol keeps its text."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column.cast(pa.string()))
    encoded = column.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    texts = [str(text or "") for text in encoded.dictionary.to_pylist()]
    if len(texts) > MOST_SYMBOLS:
        raise UserError(f"it names more than {MOST_SYMBOLS:,} symbols.")
    symbols = [canonical_symbol(text) for text in texts]
    spelled = [
        symbol or text.strip() or NO_SYMBOL for symbol, text in zip(symbols, texts, strict=True)
    ]
    distinct = tuple(dict.fromkeys([*spelled, NO_SYMBOL] if encoded.null_count else spelled))
    place = {name: number for number, name in enumerate(distinct)}
    wrong = {name for name, symbol in zip(spelled, symbols, strict=True) if symbol is None}
    wrong |= {NO_SYMBOL} & set(distinct)
    codes = np.array([*(place[name] for name in spelled), place.get(NO_SYMBOL, 0)], np.int32)
    indices = np.asarray(pc.fill_null(encoded.indices.cast(pa.int32()), len(spelled)))
    return SymbolColumn(distinct, codes[indices], frozenset(place[name] for name in wrong))


def _refuse_difference(
    names: Sequence[str], one: int, other: int, first: SymbolColumn, second: SymbolColumn
) -> None:
    if first.row is None or second.row is None:
        return
    mine, theirs = np.array(first.symbols)[first.row], np.array(second.symbols)[second.row]
    if (differs := mine != theirs).any():
        at = int(differs.argmax())
        raise UserError(
            f"its columns {names[one]} and {names[other]} contradict each other: {mine[at]} and "
            f"{theirs[at]} in row {at + 1}; remove one of them."
        )


def _refuse_possible_symbols(
    names: Sequence[str], columns: Sequence[pa.ChunkedArray | None], header: Header
) -> None:
    """A column that nobody knows may be the one of symbols.

    Securities may be told apart by a number.
    """
    known = {*header.places.values(), *header.date_places, *header.symbol_places}
    for place, (name, column) in enumerate(zip(names, columns, strict=True)):
        if column is None or place in known or normal(name) in WORDS:
            continue
        distinct = pc.unique(column.cast(pa.string())).to_pylist()[: MOST_SYMBOLS + 1]
        texts = [text.strip() for text in distinct if text and text.strip()]
        if len(texts) < 2:
            continue
        if normal(name) in IDENTIFIERS:
            raise UserError(
                f"its column {name} tells {len(texts)} securities apart, but none has a symbol; "
                "add a column `symbol`."
            )
        if all(canonical_symbol(text) for text in texts):
            raise UserError(
                f"its column {name or place + 1} may name symbols ({', '.join(texts[:2])}); call "
                "it `symbol`, or remove it."
            )
