"""What comes to the archive's writer: judged, told apart from what is known, merged.

Writes nothing.
"""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from shared.domain.market.adjustment import adjust_for_splits, apply_splits
from shared.domain.market.bars import FIELDS, Bars, Panel, align_fields, bars_of, order_symbols
from shared.domain.market.jumps import Jump, find_jumps
from shared.domain.market.refusals import (
    BarDefect,
    RefusedBar,
    describe,
    describe_values,
    find_defects,
)
from shared.domain.market.sessions import sessions_between
from shared.runtime.archive.archive import BarArchive, due_splits
from shared.schemas.corporate_actions import CashDividend, CorporateActions, Split

JUMP_SESSIONS = 25
"""Sessions before an append that show what is usual for a symbol."""


def judge(bars: Bars) -> tuple[Panel, list[RefusedBar]]:
    """The panel of the possible bars, symbols in order, and the refused ones."""
    bars = order_symbols(bars)
    defects = find_defects(bars)
    refusals = describe(bars, defects, np.flatnonzero(defects).tolist())
    kept = None if not defects.any() else defects == 0
    fields = {name: getattr(bars, name) for name in FIELDS}
    panel = align_fields(bars.symbols, bars.row, bars.session, fields, kept)
    there = [bool(np.isfinite(closes).any()) for closes in panel.close]
    if not all(there):
        panel = panel.select([name for name, has in zip(panel.symbols, there, strict=True) if has])
    return panel, refusals


def fresh_bars(archive: BarArchive, panel: Panel) -> Bars:
    """What is later than the archive, or on its last session for a symbol without a bar there."""
    last = np.datetime64(archive.sessions[-1])
    closes = archive.recent(1).close[:, -1]
    held = {
        name for name, close in zip(archive.symbols, closes, strict=True) if not np.isnan(close)
    }
    bars = bars_of(panel)
    is_late = np.array([symbol not in held for symbol in bars.symbols], bool)[bars.row]
    return compact(bars.only((bars.session > last) | ((bars.session == last) & is_late)))


def unknown_bars(archive: BarArchive, panel: Panel) -> Bars:
    """The bars of symbols and sessions that the archive has none of."""
    known, bars = archive.raw_panel(), bars_of(panel)
    place = {symbol: row for row, symbol in enumerate(known.symbols)}
    row = np.array([place.get(symbol, -1) for symbol in bars.symbols], np.int64)[bars.row]
    column = np.searchsorted(known.sessions, bars.session).clip(max=known.sessions.size - 1)
    is_known = (row >= 0) & (known.sessions[column] == bars.session)
    is_known &= np.isfinite(known.close[row, column])
    return compact(bars.only(~is_known))


def compact(bars: Bars) -> Bars:
    """The same bars without symbols that have none."""
    present = sorted({bars.symbols[row] for row in np.unique(bars.row)})
    place = {symbol: row for row, symbol in enumerate(present)}
    rows = np.array([place.get(symbol, -1) for symbol in bars.symbols], np.int32)
    return Bars(
        tuple(present),
        rows[bars.row],
        bars.session,
        **{name: getattr(bars, name) for name in FIELDS},
    )


def split_off_jumps(
    archive: BarArchive, fresh: Bars, actions: CorporateActions
) -> tuple[Bars, list[RefusedBar]]:
    """The bars that go on where the archive ends, and those after a jump that no split explains."""
    if not fresh.row.size:
        return fresh, []
    jumps = _first_jumps(archive, fresh, actions)
    if not jumps:
        return fresh, []
    since = [
        jumps[symbol].session if symbol in jumps else np.datetime64("NaT", "D")
        for symbol in fresh.symbols
    ]
    jumped = fresh.session >= np.array(since, "datetime64[D]")[fresh.row]
    refused = [
        RefusedBar(
            fresh.symbols[fresh.row[entry]],
            fresh.session[entry],
            BarDefect.UNEXPLAINED_JUMP,
            f"{jumps[fresh.symbols[fresh.row[entry]]]}: {describe_values(fresh, entry)}",
        )
        for entry in np.flatnonzero(jumped).tolist()
    ]
    return compact(fresh.only(~jumped)), refused


def _first_jumps(archive: BarArchive, fresh: Bars, actions: CorporateActions) -> dict[str, Jump]:
    """By symbol, clear jumps in the fresh bars on the basis that they are on."""
    recent = archive.recent(JUMP_SESSIONS)
    last = max(recent.sessions[-1], fresh.session.max()).item()
    due = due_splits(archive.basis, actions, archive.symbols, last)
    applied = set(archive.effective_splits)
    apply_splits(recent, [split for split in due if split not in applied])
    panel = add_bars(recent, adjust_for_splits(fresh, due))
    found: dict[str, Jump] = {}
    for jump in find_jumps(panel):
        if jump.is_clear and jump.session >= fresh.session.min():
            found.setdefault(jump.symbol, jump)
    return found


def add_bars(panel: Panel, bars: Bars) -> Panel:
    """A panel of its own with the bars of both; those of `bars` where both have one."""
    symbols = tuple(sorted({*panel.symbols, *bars.symbols}))
    days = [panel.sessions[[0, -1]]] + ([bars.session] if bars.row.size else [])
    span = np.concatenate(days)
    sessions = sessions_between(span.min(), span.max())
    place = {symbol: row for row, symbol in enumerate(symbols)}
    rows = np.array([place[symbol] for symbol in panel.symbols])
    first = int(np.searchsorted(sessions, panel.sessions[0]))
    bar_rows = np.array([place[symbol] for symbol in bars.symbols], np.int64)[bars.row]
    columns = np.searchsorted(sessions, bars.session)
    fields = {}
    for name in FIELDS:
        field = np.full((len(symbols), sessions.size), np.nan)
        field[rows, first : first + panel.sessions.size] = getattr(panel, name)
        field[bar_rows, columns] = getattr(bars, name)
        fields[name] = field
    return Panel(symbols, sessions, **fields)


def new_refusals(archive: BarArchive, refusals: Sequence[RefusedBar]) -> list[RefusedBar]:
    """Those that are not known yet: a vendor sends the same bad bar again and again."""
    known = {(each.symbol, str(each.session), each.reason) for each in archive.refusals}
    fresh = {
        key: each
        for each in refusals
        if (key := (each.symbol, str(each.session), each.reason)) not in known
    }
    return list(fresh.values())


def merge_actions(known: CorporateActions, more: CorporateActions) -> CorporateActions:
    """Both, each announcement once; the later word about a symbol's split of a day holds."""
    splits: dict[tuple[dt.date, str], Split] = {
        (each.ex_date, each.symbol): each for each in (*known.splits, *more.splits)
    }
    dividends: dict[tuple[dt.date, str, Decimal], CashDividend] = {
        (each.ex_date, each.symbol, each.amount): each
        for each in (*known.dividends, *more.dividends)
    }
    return CorporateActions(
        splits=tuple(splits[key] for key in sorted(splits)),
        dividends=tuple(dividends[key] for key in sorted(dividends)),
    )
