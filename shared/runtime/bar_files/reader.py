"""The one reader of bars in files: recognises their layout, sorts, judges, and says what it took.

Called by research, by the folder vendor and by `kobe data`. It never guesses and never repairs: what
is ambiguous, contradicts itself or is too flawed stops with the first offending row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Panel
from shared.domain.market.jumps import Jump
from shared.domain.market.refusals import RefusedBar, find_defects
from shared.domain.spelling import did_you_mean
from shared.runtime.bar_files.basis import adjust_parts, check_jumps
from shared.runtime.bar_files.judgement import (
    count_defects,
    list_refusals,
    reason_counts,
    stop_if_flawed,
)
from shared.runtime.bar_files.parts import align_entries, join_parts
from shared.runtime.bar_files.sources import Source, Sources, find_sources, without_subsets
from shared.runtime.bar_files.tables import TableBars, read_table
from shared.schemas.corporate_actions import Split


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOptions:
    """How a person wants files read. `symbols` limits what is read; empty means all.

    `accept_flawed` leaves out what would stop: bad bars, bad files, jumps. `splits` adjust raw
    prices; `basis` states what the prices are where the files do not say.
    """

    accept_flawed: bool = False
    splits: tuple[Split, ...] = ()
    basis: Basis | None = None
    symbols: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class FileBars:
    """What was read. `refused` counts by reason; `refusals` are the first of them, with file and row.

    `offered` are all symbols there, read or not. `jumps` are split-like jumps that remain, `left_out` files that were not read.
    """

    label: str
    offered: tuple[str, ...]
    layouts: tuple[str, ...]
    panel: Panel
    basis: Basis
    refused: Mapping[str, int]
    refusals: tuple[RefusedBar, ...]
    jumps: tuple[Jump, ...]
    left_out: tuple[str, ...]
    is_guessed: bool
    objections: tuple[str, ...]
    """What would have stopped, had it not been accepted; a sentence each."""

    @property
    def summary(self) -> str:
        """Such as `prices.csv: Polygon flat file, 2 symbols, 2016-03-14 to 2018-12-20, unadjusted`."""
        symbols = self.panel.symbols
        names = symbols[0] if len(symbols) == 1 else f"{len(symbols)} symbols"
        first, last = self.panel.sessions[0], self.panel.sessions[-1]
        parts = [" and ".join(self.layouts), names, f"{first} to {last}", self.basis_words]
        if self.refused:
            parts.append(f"{reason_counts(self.refused)} refused")
        return f"{self.label}: {', '.join(parts)}"

    @property
    def basis_words(self) -> str:
        return f"by its looks {self.basis}" if self.is_guessed else str(self.basis)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know besides, a sentence each."""
        jumps = [f"{jump}; no split is known." for jump in self.jumps]
        left_out = [f"{name} was left out." for name in self.left_out]
        return (*left_out, *jumps)


NO_OPTIONS = ReadOptions()


def read_files(path: Path, options: ReadOptions = NO_OPTIONS) -> FileBars:
    """The bars of a file, a zip or a folder, sorted, judged, on one basis.

    Raises UserError if something cannot be read in one way alone, or is too flawed to be trusted.
    """
    sources = without_subsets(find_sources(path))
    parts, left_out = _read_parts(sources, options)
    offered = tuple(sorted({symbol for part in parts for symbol in part.symbols}))
    parts = [_only_symbols(part, options.symbols) for part in parts]
    parts = [part for part in parts if part.row.size or part.malformed]
    if not parts:
        named = min(options.symbols) if options.symbols else ""
        end = f" of {named}; {did_you_mean(named, offered)}" if named and offered else "."
        raise UserError(f"{path.name} holds no bars{end}")
    layouts = tuple(dict.fromkeys(part.layout.name for part in parts))
    basis = adjust_parts(parts, options.basis, options.splits)
    entries = join_parts(parts)
    defects = find_defects(entries.bars, entries.known)
    refused = count_defects(entries, defects)
    refusals = list_refusals(entries, defects) if refused else []
    objections = _object(lambda: stop_if_flawed(entries, defects), options)
    panel = align_entries(entries, defects == 0)
    if not panel.sessions.size:
        raise UserError(_nothing_usable(path.name, refused, refusals))
    checked = check_jumps(path.name, panel, basis)
    if checked.objection:
        objections += _object(lambda: _stop(checked.objection), options)
    return FileBars(
        path.name,
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


def _object(check: Callable[[], None], options: ReadOptions) -> tuple[str, ...]:
    """What a check objects to, where that is accepted; raises it otherwise."""
    try:
        check()
    except UserError as error:
        if not options.accept_flawed:
            raise
        return (str(error),)
    return ()


def _stop(sentence: str) -> None:
    raise UserError(sentence)


def _nothing_usable(label: str, refused: Mapping[str, int], refusals: list[RefusedBar]) -> str:
    first = f" The first is {refusals[0].origin}: {refusals[0].detail}." if refusals else ""
    return f"{label} holds not one usable bar ({reason_counts(refused)}).{first}"


def _read_parts(sources: Sources, options: ReadOptions) -> tuple[list[TableBars], list[str]]:
    """The tables that can be read, and the names of those left out where that is accepted."""
    parts, left_out = [], []
    for source in sources.tables:
        try:
            parts.append(read_table(source))
        except UserError as error:
            if not options.accept_flawed or len(sources.tables) == 1:
                raise UserError(_unreadable(source, error, len(sources.tables))) from error
            left_out.append(f"{source.label}: {error}")
    return parts, left_out


def _unreadable(source: Source, error: UserError, files: int) -> str:
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
