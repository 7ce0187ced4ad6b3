"""Findings about a strategy, the comparison of two signal tables, and a table's shape.

Called by proof.py and selection.py. It runs no strategy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable

TOLERANCE = 1e-9
"""Relative; sums of different length may differ in their last digits, decisions may not."""
ALIGNED = {
    "row": "iu",
    "column": "iu",
    "side": "i",
    "reference_price": "f",
    "stop": "f",
    "target": "f",
    "score": "f",
}
"""Field of a table -> the kinds of number it may hold."""
EXITS = ("exit_long", "exit_short")
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StrategyFinding:
    """One breach: what law, what happened, at which bar, with which values."""

    check: str
    sentence: str
    symbol: str = ""
    session: str = ""
    expected: str = ""
    found: str = ""

    def __str__(self) -> str:
        bar = f" At {self.symbol} {self.session}".rstrip() if self.symbol or self.session else ""
        values = (
            f" expected {self.expected}; found {self.found}." if self.expected or self.found else ""
        )
        return f"{self.check}: {self.sentence}.{bar}{':' if bar and values else ''}{values}"


class Unfit(Exception):
    """The strategy could not even be asked; carries the finding."""

    def __init__(self, finding: StrategyFinding) -> None:
        super().__init__(str(finding))
        self.finding = finding


@dataclass(frozen=True, slots=True)
class SignalDifference:
    """The earliest bar at which two tables disagree."""

    symbol: str
    session: str
    expected: str
    found: str

    def finding(self, check: str, sentence: str) -> StrategyFinding:
        return StrategyFinding(
            check, sentence, self.symbol, self.session, self.expected, self.found
        )


def shape_fault(table: object, panel: Panel) -> StrategyFinding | None:
    """The first thing that is wrong with the form of what signals() returned."""
    if not isinstance(table, SignalTable):
        return StrategyFinding(
            "shape", f"signals() must return a SignalTable, not a {type(table).__name__}"
        )
    wrong = _misfit(table, panel) or _bad_entry(table, panel)
    return StrategyFinding("shape", wrong) if wrong else None


def _misfit(table: SignalTable, panel: Panel) -> str:
    size = np.size(table.row)
    for name, kinds in ALIGNED.items():
        values = getattr(table, name)
        if (
            not isinstance(values, np.ndarray)
            or values.shape != (size,)
            or values.dtype.kind not in kinds
        ):
            return f"{name} must be {size} numbers, one per row, and is {_form(values)}"
    for name, values in table.indicators.items():
        if not isinstance(values, np.ndarray) or values.shape != (size,):
            return f"indicator {name!r} must be {size} numbers, one per row, and is {_form(values)}"
    for name in EXITS:
        flags = getattr(table, name)
        if flags is not None and (flags.shape != panel.shape or flags.dtype != np.bool_):
            return f"{name} must be flags of shape {panel.shape} and is {_form(flags)}"
    return "" if table.time_stop_bars >= 1 else "time_stop_bars must be at least 1"


def _bad_entry(table: SignalTable, panel: Panel) -> str:
    row, column = table.row.astype(np.int64), table.column.astype(np.int64)
    if row.size and not (
        0 <= row.min() <= row.max() < panel.shape[0]
        and 0 <= column.min() <= column.max() < panel.shape[1]
    ):
        return f"row and column must lie within the panel of shape {panel.shape}"
    key = row * panel.shape[1] + column
    if (np.diff(key) <= 0).any():
        return "signals must be sorted by row, then column, at most one for each bar"
    faults = {
        "side must be 1 or -1": ~np.isin(table.side, (1, -1)),
        "a signal stands where the symbol has no bar": np.isnan(panel.close[row, column]),
        "reference_price, stop and score must be numbers": ~np.isfinite(
            table.reference_price + table.stop + table.score
        ),
        "the stop must lie on the losing side of the price": table.side
        * (table.reference_price - table.stop)
        < 0,
        "the target must lie on the winning side of the price": table.side
        * (table.target - table.reference_price)
        < 0,
    }
    for fault, where in faults.items():
        for entry in np.flatnonzero(where)[:1]:
            place = f"{panel.symbols[row[entry]]} {panel.sessions[column[entry]]}"
            return f"{fault} ({place}: {_values(table, int(entry))})"
    return ""


def difference(expected: SignalTable, found: SignalTable, panel: Panel) -> SignalDifference | None:
    """The earliest disagreement of two tables over `panel`, or None."""
    places = _disagreements(expected, found, panel.shape[1])
    if not places:
        return None
    column, row = min(places)
    return SignalDifference(
        panel.symbols[row],
        str(panel.sessions[column]),
        _entry_text(expected, row, column),
        _entry_text(found, row, column),
    )


def _disagreements(expected: SignalTable, found: SignalTable, bars: int) -> list[tuple[int, int]]:
    """(column, row) of the entries and exit flags in which two tables differ."""
    ours, theirs = _keys(expected, bars), _keys(found, bars)
    keys = list(np.setxor1d(ours, theirs))
    _, here, there = np.intersect1d(ours, theirs, assume_unique=True, return_indices=True)
    differ = np.zeros(here.size, np.bool_)
    for before, after in zip(_columns(expected), _columns(found), strict=False):
        differ |= ~np.isclose(
            before[here], after[there], rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True
        )
    keys += list(ours[here[differ]])
    for name in EXITS:
        keys += list(_differing_flags(getattr(expected, name), getattr(found, name), bars))
    return [(int(key) % bars, int(key) // bars) for key in keys]


def _differing_flags(before: Flags | None, after: Flags | None, bars: int) -> NDArray[np.int64]:
    if before is None and after is None:
        return np.empty(0, np.int64)
    if before is None or after is None:
        return np.zeros(1, np.int64)
    row, column = np.nonzero(before != after)
    return row * bars + column


def _keys(table: SignalTable, bars: int) -> NDArray[np.int64]:
    return table.row.astype(np.int64) * bars + table.column


def _columns(table: SignalTable) -> list[NDArray[np.float64]]:
    values = [
        table.side.astype(np.float64),
        table.reference_price,
        table.stop,
        table.target,
        table.score,
    ]
    return values + [table.indicators[name] for name in sorted(table.indicators)]


def _entry_text(table: SignalTable, row: int, column: int) -> str:
    entries = np.flatnonzero((table.row == row) & (table.column == column))
    said = _values(table, int(entries[0])) if entries.size else "no signal"
    exits = [
        f"{name} {bool(flags[row, column])}"
        for name in EXITS
        if (flags := getattr(table, name)) is not None
    ]
    return ", ".join([said, *exits])


def _values(table: SignalTable, entry: int) -> str:
    side = "long" if table.side[entry] > 0 else "short"
    prices = (
        f"price {table.reference_price[entry]:.2f}, stop {table.stop[entry]:.2f}, "
        f"target {table.target[entry]:.2f}"
    )
    indicators = "".join(
        f", {name} {values[entry]:.6g}" for name, values in table.indicators.items()
    )
    return f"{side}, {prices}, score {table.score[entry]:.6g}{indicators}"


def _form(values: object) -> str:
    return (
        f"{values.dtype} of shape {values.shape}"
        if isinstance(values, np.ndarray)
        else type(values).__name__
    )


def first_sessions(table: SignalTable, bars: int) -> SignalTable:
    """What the table says of the first `bars` sessions."""
    return _with_exits(table.only(table.column < bars), lambda flags: flags[:, :bars])


def of_row(table: SignalTable, row: int) -> SignalTable:
    """What the table says of one symbol, as of a panel of that symbol alone."""
    part = table.only(table.row == row)
    return _with_exits(
        replace(part, row=np.zeros_like(part.row)), lambda flags: flags[row : row + 1]
    )


def spread_columns(table: SignalTable, columns: NDArray[np.int64], bars: int) -> SignalTable:
    """A table over some columns of a panel of `bars` sessions, as a table over all of them."""

    def over_all(flags: Flags) -> Flags:
        wide = np.zeros((flags.shape[0], bars), np.bool_)
        wide[:, columns] = flags
        return wide

    return _with_exits(replace(table, column=columns[table.column].astype(np.int32)), over_all)


def _with_exits(table: SignalTable, change: Callable[[Flags], Flags]) -> SignalTable:
    long, short = table.exit_long, table.exit_short
    return replace(
        table,
        exit_long=None if long is None else change(long),
        exit_short=None if short is None else change(short),
    )


def own_places(panel: Panel) -> NDArray[np.int64]:
    """(symbols, bars): how many own bars of the symbol come before that session."""
    traded = ~np.isnan(panel.close)
    return np.cumsum(traded, axis=1) - traded
