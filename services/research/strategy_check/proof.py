"""Checks whether a backtest of a strategy can be believed, on the bars it is given.

Called by `kobe check-strategy` on the user's file and by the contract suite on ours. It judges no
returns. A strategy that gives no signals on these bars is hardly tested: look at `Proof.signals`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.research.strategy_check.checks import (
    StrategyFinding,
    Unfit,
    difference,
    first_sessions,
    of_row,
    own_places,
    shape_fault,
    spread_columns,
)
from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.signal_table import SignalTable
from shared.schemas.json_types import JsonObject
from shared.strategies.registry import Strategy

WARMUP_SAMPLES = (8, 60)
"""Signals looked for again on short histories, least and most; a few may need long ones."""
HOLES = (11, 4)
"""The holes check removes one bar in so many, starting at the second number."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked at and what is wrong; no findings = nothing is."""

    findings: tuple[StrategyFinding, ...]
    signals: int
    cuts: int


@dataclass(frozen=True, slots=True)
class StrategyUnderTest:
    """A strategy with its parameters on trial."""

    strategy: Strategy
    params: Any

    def signals(self, panel: Panel) -> SignalTable:
        """A well-formed table, or `Unfit`."""
        try:
            table = self.strategy.signals(panel, self.params)
        except Exception as error:
            raise Unfit(_error_finding(self.strategy, error, panel)) from error
        wrong = shape_fault(table, panel)
        if wrong:
            raise Unfit(wrong)
        return table

    def warmup(self) -> int:
        try:
            bars = self.strategy.warmup(self.params)
        except Exception as error:
            raise Unfit(
                StrategyFinding("raises", f"warmup raises {type(error).__name__}: {error}")
            ) from error
        if not isinstance(bars, int) or bars < 0:
            raise Unfit(
                StrategyFinding("warm-up", f"warmup must be a number of bars, not {bars!r}")
            )
        return bars


def prove(
    strategy: Strategy, params: Any, panel: Panel, *, cuts: Sequence[int] | None = None
) -> Proof:
    """Every law of a strategy on these bars, the first breach of each.

    `cuts` are the numbers of sessions after which the panel is cut short to look for look-ahead;
    None = every one.
    """
    tested, cut_at = (
        StrategyUnderTest(strategy, params),
        range(1, panel.sessions.size + 1) if cuts is None else cuts,
    )
    try:
        whole = tested.signals(panel)
        touched = next(check_untouched_input(tested, panel), None)
    except Unfit as unfit:
        return Proof((unfit.finding,), 0, 0)
    if touched:
        return Proof((touched,), whole.size, 0)
    checks: tuple[Callable[[], Iterator[StrategyFinding]], ...] = (
        lambda: check_repeatable(tested, panel, whole),
        lambda: check_look_ahead(tested, panel, whole, cut_at),
        lambda: check_other_symbols(tested, panel, whole),
        lambda: check_holes(tested, panel),
        lambda: check_early_signals(tested, panel, whole),
        lambda: check_warmup(tested, panel, whole),
    )
    findings = [finding for check in checks if (finding := first_finding(check)) is not None]
    return Proof(tuple(findings), whole.size, len(cut_at))


def first_finding(check: Callable[[], Iterator[StrategyFinding]]) -> StrategyFinding | None:
    """The first breach of a law, or that the strategy could not be asked."""
    try:
        return next(check(), None)
    except Unfit as unfit:
        return unfit.finding


def check_untouched_input(tested: StrategyUnderTest, panel: Panel) -> Iterator[StrategyFinding]:
    """The bars are as they were after signals were asked for."""
    copies: JsonObject = {name: np.array(getattr(panel, name)) for name in FIELDS}
    given = replace(panel, **copies)
    tested.signals(given)
    for name in FIELDS:
        before, after = getattr(panel, name), getattr(given, name)
        changed = np.argwhere(~((before == after) | (np.isnan(before) & np.isnan(after))))
        if changed.size:
            row, column = changed[0]
            values = {
                "expected": f"{name} {before[row, column]}",
                "found": f"{name} {after[row, column]}",
            }
            sentence = "signals() writes into the bars it is given"
            yield StrategyFinding(
                "input untouched",
                sentence,
                panel.symbols[row],
                str(panel.sessions[column]),
                **values,
            )


def check_repeatable(
    tested: StrategyUnderTest, panel: Panel, whole: SignalTable
) -> Iterator[StrategyFinding]:
    """The same bars twice give the same signals."""
    found = difference(whole, tested.signals(panel), panel)
    if found:
        yield found.finding("repeatable", "asked twice on the same bars, it answers differently")


def check_look_ahead(
    tested: StrategyUnderTest, panel: Panel, whole: SignalTable, cuts: Sequence[int]
) -> Iterator[StrategyFinding]:
    """What is said of a session does not depend on later ones."""
    for bars in cuts:
        found = difference(first_sessions(whole, bars), tested.signals(panel.first(bars)), panel)
        if found:
            last = panel.sessions[bars - 1]
            yield found.finding(
                "looks ahead",
                f"with bars after {last} it says one thing, with bars up to {last} another",
            )


def check_other_symbols(
    tested: StrategyUnderTest, panel: Panel, whole: SignalTable
) -> Iterator[StrategyFinding]:
    """What is said of a symbol does not depend on the others in the panel."""
    for row, symbol in enumerate(panel.symbols):
        alone = panel.select([symbol])
        found = difference(tested.signals(alone), of_row(whole, row), alone)
        if found:
            yield found.finding(
                "other symbols", "alone it says one thing, among the other symbols another"
            )


def check_holes(tested: StrategyUnderTest, panel: Panel) -> Iterator[StrategyFinding]:
    """A session in which a symbol did not trade counts as no bar of that symbol."""
    missing = (np.arange(panel.sessions.size) + np.arange(len(panel.symbols))[:, None]) % HOLES[
        0
    ] == HOLES[1]
    fields: JsonObject = {name: np.where(missing, np.nan, getattr(panel, name)) for name in FIELDS}
    holed = replace(panel, **fields)
    table = tested.signals(holed)
    for row, symbol in enumerate(panel.symbols):
        own = np.flatnonzero(~np.isnan(holed.close[row]))
        alone = _of_columns(holed.select([symbol]), own)
        expected = spread_columns(tested.signals(alone), own, panel.sessions.size)
        found = difference(expected, of_row(table, row), holed.select([symbol]))
        if found:
            yield found.finding(
                "holes", "with sessions missing it should say what it says of the symbol's own bars"
            )


def check_early_signals(
    tested: StrategyUnderTest, panel: Panel, whole: SignalTable
) -> Iterator[StrategyFinding]:
    """No signal comes before the declared warm-up is over."""
    warmup, place = tested.warmup(), own_places(panel)[whole.row, whole.column]
    for entry in np.flatnonzero(place < warmup)[:1]:
        yield StrategyFinding(
            "warm-up",
            f"it declares {warmup} bars of warm-up and signals earlier",
            panel.symbols[whole.row[entry]],
            str(panel.sessions[whole.column[entry]]),
            expected=f"at least {warmup} own bars before it",
            found=f"{place[entry]} own bars before it",
        )


def check_warmup(
    tested: StrategyUnderTest, panel: Panel, whole: SignalTable
) -> Iterator[StrategyFinding]:
    """On the declared warm-up and the signal's bar alone, most signals are still given."""
    warmup, place = tested.warmup(), own_places(panel)
    fit = np.flatnonzero(place[whole.row, whole.column] >= warmup)
    sample = fit[
        np.unique(np.linspace(0, fit.size - 1, min(WARMUP_SAMPLES[1], fit.size)).astype(int))
    ]
    if sample.size < WARMUP_SAMPLES[0]:
        return
    short = tested.signals(_windows(panel, whole, sample, warmup + 1))
    seen = set(short.row[short.column == warmup].tolist())
    lost = [number for number in range(sample.size) if number not in seen]
    if 2 * len(lost) > sample.size:
        entry = sample[lost[0]]
        yield StrategyFinding(
            "warm-up",
            f"it declares {warmup} bars of warm-up and needs more",
            panel.symbols[whole.row[entry]],
            str(panel.sessions[whole.column[entry]]),
            expected=f"the signal, given {warmup} bars before it",
            found=f"no signal ({len(lost)} of {sample.size} signals looked at are lost)",
        )


def _windows(panel: Panel, table: SignalTable, entries: Sequence[int], bars: int) -> Panel:
    """One row per entry: the last `bars` own bars up to its signal bar."""
    places = [(int(table.row[entry]), int(table.column[entry])) for entry in entries]
    own = [np.flatnonzero(~np.isnan(panel.close[row, : end + 1]))[-bars:] for row, end in places]
    rows = np.array([row for row, _ in places])[:, None]
    fields = {name: getattr(panel, name)[rows, np.stack(own)] for name in FIELDS}
    names = tuple(f"{panel.symbols[row]}@{panel.sessions[end]}" for row, end in places)
    return Panel(names, np.datetime64("2000-01-03", "D") + np.arange(bars), **fields)


def _of_columns(panel: Panel, columns: NDArray[np.int64]) -> Panel:
    fields = {name: np.ascontiguousarray(getattr(panel, name)[:, columns]) for name in FIELDS}
    return Panel(panel.symbols, panel.sessions[columns], **fields)


def _error_finding(strategy: Strategy, error: Exception, panel: Panel) -> StrategyFinding:
    """Where in the strategy's own file it happened, if it did happen there."""
    line, trace = 0, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == getattr(strategy, "__file__", None):
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f" (line {line})" if line else ""
    session = str(panel.sessions[-1]) if panel.sessions.size else ""
    given = f"given {len(panel.symbols)} symbols and {panel.sessions.size} bars"
    sentence = f"signals() raises {type(error).__name__}: {error}{place}, {given}"
    return StrategyFinding("raises", sentence, session=session)
