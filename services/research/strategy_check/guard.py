"""The look-ahead guard.

Asks a strategy in fresh processes what it would say of less, and of other bars.

Called by `kobe check-strategy` in full, and in a quick form before a backtest or walk-forward
believes a user's own file. It names the cause it has seen, and the scope it has looked at.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.research.data.inputs import Inputs
from services.research.strategy_check import scope as scopes
from services.research.strategy_check.checks import (
    StrategyFinding,
    Unfit,
    difference,
    first_sessions,
)
from services.research.strategy_check.isolated import Answers, Question, ask
from services.research.strategy_check.proof import (
    StrategyUnderTest,
    check_early_signals,
    check_holes,
    check_other_symbols,
    check_repeatable,
    check_untouched_input,
    check_warmup,
    first_finding,
)
from services.research.strategy_check.scope import Scope
from services.research.strategy_check.selection import SelectedStrategy, file_of
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable

SHIFT_DAYS = 1461 * 7
"""28 years: weekdays, months and leap years fall as before, and no date is the same."""
MARK = "Q"
"""Put before every symbol: their order stays, and no name is the same."""
FUTURES = 12
"""Places after which everything is other; each asks on all the bars."""
CLOCKS = {("time", "time"), ("time", "time_ns"), ("datetime", "now"), ("datetime", "today")} | {
    ("date", "today"), ("Timestamp", "now"), ("Timestamp", "today"), ("datetime", "utcnow"),
}  # fmt: skip
"""Calls that ask what time it is, as they are written."""


@dataclass(frozen=True, slots=True)
class GuardVerdict:
    """No findings: nothing was found within the scope, which is all that is claimed."""

    findings: tuple[StrategyFinding, ...]
    scope: Scope


def examine(
    inputs: Inputs,
    selected: SelectedStrategy,
    panel: Panel,
    *,
    symbols: int = scopes.SYMBOLS,
    cuts: int = scopes.CUTS,
) -> GuardVerdict:
    """Everything that is known to make a backtest lie, the first cause of each kind."""
    few = scopes.spread_symbols(panel, symbols)
    whole = ask(inputs, few, [[Question()]])[0]
    table = whole.tables[0] if whole.tables else None
    at = scopes.cuts_at_signals(table, few.sessions.size, cuts) if table else []
    looked = _scope(few, at, table)
    if whole.finding or table is None:
        found = whole.finding or StrategyFinding("raises", "it gave no answer")
        return GuardVerdict((found,), looked)
    futures = at[:: max(1, len(at) // FUTURES)]
    answers = ask(
        inputs,
        few,
        [
            [Question(bars=bars) for bars in at],
            [Question(future=bars) for bars in futures],
            [Question(mark=MARK)],
            [Question(days=SHIFT_DAYS)],
        ],
    )
    causes = [*_of_answers(few, table, at, futures, answers), *_outside(selected, whole, answers)]
    if causes:
        return GuardVerdict(tuple(causes), looked)
    return GuardVerdict(tuple(_laws(selected, few)), looked)


def _scope(panel: Panel, cuts: Sequence[int], table: SignalTable | None) -> Scope:
    return Scope(
        symbols=len(panel.symbols),
        first=str(panel.sessions[0]),
        last=str(panel.sessions[-1]),
        cuts=len(cuts),
        signals=table.size if table else 0,
    )


def _of_answers(
    panel: Panel,
    whole: SignalTable,
    cuts: Sequence[int],
    futures: Sequence[int],
    answers: Sequence[Answers],
) -> Iterator[StrategyFinding]:
    """The first difference of each kind; whoever looks ahead is told that, and no more of it."""
    if len(answers) == 1:
        yield answers[0].finding or StrategyFinding("raises", "it gave no answer")
        return
    cut, future, renamed, shifted = answers
    ahead = _ahead(panel, whole, cuts, cut, "looks ahead", "with bars after {} it says one thing, "
                   "with bars up to {} another") or _ahead(
        panel, whole, futures, future, "looks ahead", "with other bars after {} it says "
        "another thing of what came before {}")  # fmt: skip
    if ahead:
        yield ahead
    yield from _same(panel, whole, renamed, "names", "with every symbol renamed it says another "
                     "thing: it knows symbols by name")  # fmt: skip
    yield from _same(panel, whole, shifted, "dates", "with every date 28 years later it says "
                     "another thing: it knows dates")  # fmt: skip


def _ahead(
    panel: Panel,
    whole: SignalTable,
    places: Sequence[int],
    answers: Answers,
    check: str,
    sentence: str,
) -> StrategyFinding | None:
    for bars, table in zip(places, answers.tables, strict=False):
        found = difference(first_sessions(whole, bars), first_sessions(table, bars), panel)
        if found:
            last = panel.sessions[bars - 1]
            return found.finding(check, sentence.format(last, last))
    return answers.finding


def _same(
    panel: Panel, whole: SignalTable, answers: Answers, check: str, sentence: str
) -> Iterator[StrategyFinding]:
    if answers.finding:
        yield answers.finding
    elif found := difference(whole, answers.tables[0], panel):
        yield found.finding(check, sentence)


def _outside(
    selected: SelectedStrategy, whole: Answers, answers: Sequence[Answers]
) -> Iterator[StrategyFinding]:
    """What it learns that is not in its bars."""
    touched = dict.fromkeys(name for each in (whole, *answers) for name in each.touched)
    if touched:
        listed = ", ".join(touched)
        yield StrategyFinding("outside", f"it uses what is not in the bars: {listed}")
    clocks = sorted(set(clocks_in(file_of(selected.strategy))))
    if clocks:
        yield StrategyFinding("clock", f"it asks what time it is: {', '.join(clocks)}")


def clocks_in(file: Path) -> Iterator[str]:
    """The calls of a clock in a file, with their lines."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if (name, node.func.attr) in CLOCKS:
                yield f"{name}.{node.func.attr}() in line {node.lineno}"


def _laws(selected: SelectedStrategy, panel: Panel) -> Iterator[StrategyFinding]:
    """What is no look-ahead, and wrong all the same; asked once nothing worse was found."""
    tested = StrategyUnderTest(selected.strategy, selected.params)
    whole = tested.signals(panel)
    laws: tuple[Callable[[], Iterator[StrategyFinding]], ...] = (
        lambda: check_untouched_input(tested, panel),
        lambda: check_repeatable(tested, panel, whole),
        lambda: check_other_symbols(tested, panel, whole),
        lambda: check_holes(tested, panel),
        lambda: check_early_signals(tested, panel, whole),
        lambda: check_warmup(tested, panel, whole),
    )
    for law in laws:
        if finding := first_finding(law):
            yield finding


def quick_finding(
    inputs: Inputs, selected: SelectedStrategy, panel: Panel
) -> StrategyFinding | None:
    """The quick form: fewer symbols and cuts, and only what makes a backtest lie."""
    few = scopes.spread_symbols(panel, scopes.QUICK_SYMBOLS)
    tested = StrategyUnderTest(selected.strategy, selected.params)
    table = tested.signals(few)
    at = scopes.cuts_at_signals(table, few.sessions.size, scopes.QUICK_CUTS)
    futures = at[len(at) // 2 : len(at) // 2 + 1]
    # One process, the past first: it has not seen what comes after a cut when it is asked there.
    program = [
        *(Question(bars=bars) for bars in at),
        *(Question(future=bars) for bars in futures),
        Question(mark=MARK),
        Question(days=SHIFT_DAYS),
    ]
    answers = ask(inputs, few, [program])[0]
    parts = _parts(answers, [len(at), len(futures), 1, 1])
    causes = [*_of_answers(few, table, at, futures, parts), *_outside(selected, answers, [])]
    return causes[0] if causes else None


def _parts(answers: Answers, sizes: Sequence[int]) -> list[Answers]:
    """The answers of one program as those of several; a finding belongs to where it came."""
    if answers.finding:
        return [answers]
    parts, begin = [], 0
    for size in sizes:
        parts.append(Answers(answers.tables[begin : begin + size]))
        begin += size
    return parts


def refuse_look_ahead(inputs: Inputs, selected: Sequence[SelectedStrategy], panel: Panel) -> None:
    """Raises UserError if the quick form finds that a user's own strategy cannot be believed."""
    for each, given in zip(selected, inputs.strategies, strict=True):
        if each.is_built_in:
            continue
        alone = Inputs(strategies=(given,), folder=inputs.folder)
        try:
            finding = quick_finding(alone, each, panel)
        except Unfit as unfit:
            finding = unfit.finding
        if finding:
            raise UserError(
                f"The strategy {each.name} cannot be believed: {finding} "
                "Run `kobe check-strategy` on it."
            )
