"""The general way to read files of bars: every layout, joined, sorted, judged, on one basis.

Called by reader.py for all that is no plain, ordered Parquet file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from shared.domain.errors import UserError
from shared.domain.market.refusals import RefusedBar, find_defects
from shared.domain.spelling import did_you_mean
from shared.runtime.bar_files.basis import adjust_parts
from shared.runtime.bar_files.file_bars import (
    FileBars,
    ReadOptions,
    accept_or_raise,
    reason_counts,
)
from shared.runtime.bar_files.judgement import (
    count_defects,
    list_refusals,
    objection_to,
)
from shared.runtime.bar_files.jump_check import check_jumps
from shared.runtime.bar_files.parts import align_entries, join_parts
from shared.runtime.bar_files.sources import Sources, TableSource
from shared.runtime.bar_files.tables import TableBars, read_table


def read_tables(label: str, sources: Sources, options: ReadOptions) -> FileBars:
    """The bars of a file, a zip or a folder, sorted, judged, on one basis.

    Raises UserError if something cannot be read in one way alone, or is too flawed to be trusted.
    """
    parts, left_out = _read_parts(sources, options)
    offered = tuple(sorted({symbol for part in parts for symbol in part.symbols}))
    parts = [_only_symbols(part, options.symbols) for part in parts]
    parts = [part for part in parts if part.row.size or part.malformed]
    if not parts:
        named = min(options.symbols) if options.symbols else ""
        end = f" of {named}; {did_you_mean(named, offered)}" if named and offered else "."
        raise UserError(f"{label} holds no bars{end}")
    layouts = tuple(dict.fromkeys(part.layout.name for part in parts))
    basis = adjust_parts(parts, options.basis, options.splits)
    entries = join_parts(parts)
    defects = find_defects(entries.bars, entries.known)
    refused = count_defects(entries, defects)
    refusals = list_refusals(entries, defects) if refused else []
    flaw = objection_to(entries, defects) if refused else ""
    objections = accept_or_raise(flaw, options)
    panel = align_entries(entries, defects == 0)
    if not panel.sessions.size:
        raise UserError(_nothing_usable(label, refused, refusals))
    checked = check_jumps(label, panel, basis)
    objections += accept_or_raise(checked.objection, options)
    return FileBars(
        label,
        offered,
        layouts,
        panel,
        checked.basis,
        refused,
        tuple(refusals),
        checked.jumps,
        (*sources.ignored, *left_out),
        checked.is_guessed,
        (*left_out, *objections),
    )


def _nothing_usable(label: str, refused: Mapping[str, int], refusals: list[RefusedBar]) -> str:
    first = f" The first is {refusals[0].origin}: {refusals[0].detail}." if refusals else ""
    return f"{label} holds not one usable bar ({reason_counts(refused)}).{first}"


def _read_parts(sources: Sources, options: ReadOptions) -> tuple[list[TableBars], list[str]]:
    """The tables that can be read, and the names of those left out where that is accepted."""
    parts, left_out = [], []
    for source in sources.tables:
        try:
            parts.append(_read_whole(source))
        except UserError as error:
            if not options.accept_flawed or len(sources.tables) == 1:
                raise UserError(_unreadable(source, error, len(sources.tables))) from error
            left_out.append(f"{source.label}: {error}")
    return parts, left_out


def _read_whole(source: TableSource) -> TableBars:
    """Raises UserError for whatever is wrong with it; damage may show only in use."""
    try:
        return read_table(source)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UserError(f"it is damaged: {str(error).splitlines()[0]}.") from error


def _unreadable(source: TableSource, error: UserError, files: int) -> str:
    choice = (
        f" It is one of {files}: mend it, take it away, or add --accept-flawed to leave it out."
    )
    return f"{source.label}: {error}{choice if files > 1 else ''}"


def _only_symbols(part: TableBars, symbols: frozenset[str]) -> TableBars:
    """The entries of these symbols; all if none is named."""
    if not symbols or symbols.issuperset(part.symbols):
        return part
    named = np.array([symbol in symbols for symbol in part.symbols], bool)
    return part.only(named[part.row])
