"""The entries of several files as one, each still known by its file and row.

Called by reader.py and judgement.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars, Panel, align_fields
from shared.domain.market.refusals import NUMBER, BarDefect
from shared.domain.market.sessions import Sessions
from shared.runtime.bar_files.intraday import find_intraday
from shared.runtime.bar_files.limits import MOST_CELLS
from shared.runtime.bar_files.numbers import Numbers
from shared.runtime.bar_files.tables import TableBars


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The rows of all parts in their order; `fields` is emptied when they are aligned.

    `known` are defects that the tables show by themselves, `offsets` the first entry of each part.
    """

    symbols: tuple[str, ...]
    row: NDArray[np.int32]
    session: Sessions
    fields: dict[str, Numbers]
    known: NDArray[np.int8]
    parts: tuple[TableBars, ...]
    offsets: NDArray[np.int64]

    @property
    def bars(self) -> Bars:
        return Bars(self.symbols, self.row, self.session, **self.fields)

    def origin(self, entry: int) -> tuple[TableBars, int]:
        """The part of an entry, and the row of its table."""
        place = int(np.searchsorted(self.offsets, entry, side="right")) - 1
        part, local = self.parts[place], entry - int(self.offsets[place])
        return part, local if part.rows is None else int(part.rows[local])


def join_parts(parts: Sequence[TableBars]) -> Entries:
    """One list of entries. Raises UserError if most rows of a part are intraday."""
    symbols = tuple(sorted({symbol for part in parts for symbol in part.symbols}))
    place = {symbol: number for number, symbol in enumerate(symbols)}
    known = [_table_defects(part) for part in parts]
    rows = [_renumber(part, place, symbols) for part in parts]
    sizes = [part.row.size for part in parts]
    fields = {name: _join([part.fields.pop(name) for part in parts]) for name in FIELDS}
    return Entries(
        symbols,
        _join(rows),
        _join([part.dates.session for part in parts]),
        fields,
        _join(known),
        tuple(parts),
        np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
    )


def align_entries(entries: Entries, kept: NDArray[np.bool_]) -> Panel:
    """The panel of the entries kept, without symbols that have none.

    Raises UserError if too large.
    """
    days = entries.session if kept.all() else entries.session[kept]
    if days.size:
        years = int((days.max() - days.min()).astype(np.int64)) / 365
        cells = len(entries.symbols) * years * 252
        if cells > MOST_CELLS:
            raise UserError(
                f"{len(entries.symbols):,} symbols over {years:.0f} years are more than fits in "
                "memory; name fewer with --universe."
            )
    which = None if kept.all() else kept
    panel = align_fields(entries.symbols, entries.row, entries.session, entries.fields, which)
    there = (
        np.bincount(
            entries.row if which is None else entries.row[which], minlength=len(entries.symbols)
        )
        > 0
    )
    if there.all():
        return panel
    return panel.select(
        [symbol for symbol, is_there in zip(panel.symbols, there, strict=True) if is_there]
    )


def _renumber(
    part: TableBars, place: dict[str, int], symbols: tuple[str, ...]
) -> NDArray[np.int32]:
    if part.symbols == symbols:
        return part.row
    return np.array([place[symbol] for symbol in part.symbols], np.int32)[part.row]


def _join(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _table_defects(part: TableBars) -> NDArray[np.int8]:
    """What a table shows without its prices: no date, no symbol, no daily bar."""
    defects = np.zeros(part.row.size, np.int8)
    try:
        intraday = find_intraday(
            part.row, part.dates.session, part.dates.minute, is_instant=part.dates.is_instant
        )
    except UserError as error:
        raise UserError(f"{part.source.label}: {error}") from error
    for flags in (intraday, part.is_other_period):
        if flags is not None:
            defects[flags] = NUMBER[BarDefect.INTRADAY]
    malformed = np.isnat(part.dates.session)
    if part.no_symbols:
        malformed |= np.isin(part.row, list(part.no_symbols))
    defects[malformed] = NUMBER[BarDefect.MALFORMED]
    return defects
