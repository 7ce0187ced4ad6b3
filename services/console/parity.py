"""Holds a backtest with the gate's policy against a replay of the stack, fill by fill.

Called by `kobe parity` and the parity tests. Both see the same bars, sessions and sizes; the first
difference is described, and nothing is explained away.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.console.stack.memory_stack import Execution
from services.research.backtest.run import Run, backtest
from services.research.data.inputs import Inputs, StrategyInputs
from shared.domain.risk.sizing import SizingMethod
from shared.runtime.config.settings import load_settings
from shared.schemas.values import Purpose

ENTRY, EXIT = Purpose.ENTRY.value, "exit"
"""A backtest knows no more of a purpose."""

AROUND = 3
"""Fills shown before the first difference: enough to see the day it happened on."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`place` is that of the first difference among the sorted fills, or None."""

    expected: tuple[Execution, ...]
    found: tuple[Execution, ...]
    place: int | None

    @property
    def story(self) -> str:
        """What came before, then what each of the two did."""
        if self.place is None:
            return f"{len(self.found)} fills, no difference."
        before = [f"  both  {_line(fill)}" for fill in self.found[self.place - AROUND : self.place]]
        pair = [
            f"  {name:<9} {_line(fills[self.place]) if self.place < len(fills) else 'nothing more'}"
            for name, fills in (("backtest", self.expected), ("replay", self.found))
        ]
        return "\n".join([f"Fill {self.place + 1} is the first to differ:", *before, *pair])


def compare(expected: Sequence[Execution], found: Sequence[Execution]) -> Comparison:
    """Compare sorted fills: within a session, two engines may fill in different orders."""
    ours, theirs = tuple(sorted(expected)), tuple(sorted(found))
    longest = max(len(ours), len(theirs))
    differs = (
        place for place in range(longest) if ours[place : place + 1] != theirs[place : place + 1]
    )
    return Comparison(ours, theirs, next(differs, None))


def inputs_of_replay(
    environ: Mapping[str, str], *, bars: str, signals_from: dt.date, end: dt.date | None = None
) -> Inputs:
    """The backtest of what the stack trades in mode sim, at the sizes it trades."""
    config = load_settings({**environ, "KOBE_MODE": "sim"}).config
    names, parameters = config.strategies.enabled, config.strategies.parameters
    return Inputs(
        strategies=tuple(
            StrategyInputs(name=name, parameters=parameters.get(name, {})) for name in names
        ),
        bars=bars,
        start=signals_from,
        end=end,
        sizing=SizingMethod.BUDGET,
        size=config.sizing.per_order,
        policy=True,
        folder=config.strategies.folder,
    )


def backtest_fills(inputs: Inputs, environ: Mapping[str, str]) -> list[Execution]:
    return fills_of(backtest(inputs, environ))


def fills_of(run: Run) -> list[Execution]:
    """Entries and exits; what is only closed at the end of the bars is no fill of a stack."""
    trades, panel, found = run.result.trades, run.market.panel, []
    for i, reason in enumerate(trades.reasons()):
        symbol, qty = panel.symbols[trades.row[i]], int(trades.qty[i])
        opens, closes = ("buy", "sell") if trades.side[i] > 0 else ("sell", "buy")
        entered, left = (
            panel.sessions[column[i]].item() for column in (trades.entry_column, trades.exit_column)
        )
        price = f"{trades.entry_price[i]:.2f}"
        found.append(Execution(entered, symbol, opens, ENTRY, qty, price))
        if reason != "end_of_data":
            price = f"{trades.exit_price[i]:.2f}"
            found.append(Execution(left, symbol, closes, EXIT, qty, price))
    return found


def without_protection(fills: Sequence[Execution]) -> list[Execution]:
    """Stack fills as a backtest knows them: a protective stop is an exit; prices to the cent."""
    return [
        Execution(
            fill.session,
            fill.symbol,
            fill.side,
            fill.purpose if fill.purpose == ENTRY else EXIT,
            fill.qty,
            f"{float(fill.price):.2f}",
        )
        for fill in fills
    ]


def _line(fill: Execution) -> str:
    return f"{fill.session} {fill.purpose} {fill.side} {fill.qty} {fill.symbol} at {fill.price}"
