"""Whether what was read is good enough, and the sentence that names the first offending row if not.

Called by reader.py. A few refused bars are left out and counted; more than one in a hundred of a
symbol, or two bars that contradict each other, stop.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.refusals import (
    DEFECTS,
    NUMBER,
    BarDefect,
    RefusedBar,
    describe,
)
from shared.runtime.bar_files.file_bars import reason_counts, words
from shared.runtime.bar_files.limits import MOST_REFUSED
from shared.runtime.bar_files.parts import Entries
from shared.runtime.bar_files.tables import TableBars

MOST_LISTED = 10_000
"""Refused bars that are kept one by one; the counts are of all."""
LEAVE_OUT = "Mend the file, or add --accept-flawed to leave such bars out."


def count_defects(entries: Entries, defects: NDArray[np.int8]) -> dict[str, int]:
    """Refused bars by reason, lines that could not be split among them."""
    numbers = np.bincount(defects, minlength=len(DEFECTS) + 1)[1:]
    counts = {each.value: int(number) for each, number in zip(DEFECTS, numbers, strict=True)}
    counts[BarDefect.MALFORMED] += sum(part.malformed for part in entries.parts)
    return {reason: number for reason, number in sorted(counts.items()) if number}


def list_refusals(entries: Entries, defects: NDArray[np.int8]) -> list[RefusedBar]:
    """The refused bars with file and row, the first MOST_LISTED of them."""
    places = np.flatnonzero(defects)[:MOST_LISTED].tolist()
    refused = describe(entries.bars, defects, places)
    lines = _locate(entries, places)
    return [
        replace(bar, origin=lines[place][0], detail=lines[place][1] or bar.detail)
        if bar.reason is not BarDefect.CONFLICTING_DUPLICATE
        else replace(bar, origin=lines[place][0])
        for bar, place in zip(refused, places, strict=True)
    ]


def objection_to(entries: Entries, defects: NDArray[np.int8]) -> str:
    """The sentence about a contradiction, or too many refused bars of a symbol.

    "" if there is none.
    """
    for part in entries.parts:
        if part.malformed > MOST_REFUSED * (part.table_rows + part.malformed):
            return _field_count_sentence(part)
    conflicts = np.flatnonzero(defects == NUMBER[BarDefect.CONFLICTING_DUPLICATE])
    if conflicts.size:
        return _conflict_sentence(entries, defects, int(conflicts[0]))
    counted = (defects > 0) & (defects != NUMBER[BarDefect.DUPLICATE])
    if not counted.any():
        return ""
    symbols = len(entries.bars.symbols)
    refused = np.bincount(entries.bars.row[counted], minlength=symbols)
    given = np.bincount(entries.bars.row, minlength=symbols)
    flawed = refused > MOST_REFUSED * given
    which = counted & flawed[entries.bars.row]
    return _flaw_sentence(entries, defects, which) if flawed.any() else ""


def _field_count_sentence(part: TableBars) -> str:
    # A stray carriage return splits lines otherwise here than in Arrow: then there is no number.
    number, text = part.locate([part.table_rows]).get(part.table_rows, (0, ""))
    first = f"; the first is line {number}: {_short(text)}" if number else ""
    return (
        f"{part.source.label}: {part.malformed} lines do not have the fields of the "
        f"header{first}. {LEAVE_OUT}"
    )


def _conflict_sentence(entries: Entries, defects: NDArray[np.int8], first: int) -> str:
    bars = entries.bars
    same = (bars.row == bars.row[first]) & (bars.session == bars.session[first]) & (defects > 0)
    places = np.flatnonzero(same).tolist()
    refused = describe(bars, defects, places)[0]
    lines = _locate(entries, places)
    where = " and ".join(lines[place][0] for place in places[:2])
    part, _ = entries.origin(first)
    hint = "" if part.has_symbols else " Is a column of symbols missing?"
    return (
        f"{where} contradict each other: {refused.symbol} on {refused.session} has "
        f"{refused.detail}.{hint} {LEAVE_OUT}"
    )


def _flaw_sentence(entries: Entries, defects: NDArray[np.int8], which: NDArray[np.bool_]) -> str:
    bars = entries.bars
    first = int(which.argmax())
    own = which & (bars.row == bars.row[first])
    reasons = Counter(DEFECTS[number - 1] for number in defects[own].tolist())
    refused = describe(bars, defects, [first])[0]
    where, text = _locate(entries, [first])[first]
    others = len(set(bars.row[which].tolist())) - 1
    more = f", and of {others} more symbol{'s' if others > 1 else ''}" if others else ""
    return (
        f"{int(own.sum())} of {int((bars.row == bars.row[first]).sum())} bars of {refused.symbol} "
        f"are refused ({reason_counts(reasons)}){more}; the first is {where}: "
        f"{words(refused.reason)}: {_short(text) or _bar_text(refused)}. {LEAVE_OUT}"
    )


def _bar_text(bar: RefusedBar) -> str:
    return f"{bar.symbol} {bar.session} {bar.detail}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else f"{text[:117]}…"


def _locate(entries: Entries, places: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Entry -> `prices.csv line 37` and the line, or `prices.parquet row 36` and nothing."""
    by_part: dict[int, dict[int, int]] = defaultdict(dict)
    parts = {}
    for place in places:
        part, row = entries.origin(place)
        parts[id(part)] = part
        by_part[id(part)][place] = row
    found = {}
    for key, rows in by_part.items():
        part = parts[key]
        lines = part.locate(list(rows.values()))
        for place, row in rows.items():
            number, text = lines.get(row, (row + 1, ""))
            found[place] = f"{part.source.label} {'line' if text else 'row'} {number}", text
    return found
