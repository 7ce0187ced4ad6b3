"""One scan over a panel: the strategies' signals at its last session, in rank order. Pure.

Called by the service's work with the very functions and the very history of a backtest.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import LONG, SignalTable
from shared.schemas.fields import is_symbol
from shared.schemas.values import Direction, Signal
from shared.strategies.registry import Strategy


@dataclass(frozen=True, slots=True)
class EnabledStrategy:
    """A strategy with its parameters; their order is the rank order."""

    strategy: Strategy
    params: object

    @property
    def name(self) -> str:
        return self.strategy.NAME


def tables(panel: Panel, strategies: Sequence[EnabledStrategy]) -> dict[str, SignalTable]:
    """Every signal of the panel's whole history, by strategy, in rank order."""
    return {enabled.name: enabled.strategy.signals(panel, enabled.params) for enabled in strategies}


def last_signals(
    panel: Panel, found: Mapping[str, SignalTable], *, without: Collection[str] = ()
) -> tuple[Signal, ...]:
    """The signals at the panel's last session: strategies in order, then by score, then symbol.

    Raises ValueError if a strategy gives numbers that no signal can have.
    """
    column = panel.sessions.size - 1
    ranked: list[tuple[int, float, str, Signal]] = []
    for rank, (name, table) in enumerate(found.items()):
        today = table.on(column)
        for entry, symbol in enumerate(panel.symbols[row] for row in today.row):
            if symbol not in without and is_symbol(symbol):
                signal = _signal(panel, name, today, entry)
                ranked.append((rank, -float(today.score[entry]), symbol, signal))
    ranked.sort(key=lambda each: each[:3])
    return tuple(signal for *_, signal in ranked)


def _signal(panel: Panel, strategy: str, table: SignalTable, entry: int) -> Signal:
    target = float(table.target[entry])
    values = {name: float(column[entry]) for name, column in table.indicators.items()}
    return Signal(
        session=panel.sessions[table.column[entry]].item(),
        symbol=panel.symbols[table.row[entry]],
        strategy=strategy,
        direction=Direction.LONG if table.side[entry] == LONG else Direction.SHORT,
        reference_price=_dollars(table.reference_price[entry]),
        stop=_dollars(table.stop[entry]),
        target=None if math.isnan(target) else _dollars(target),
        time_stop_bars=table.time_stop_bars,
        score=shortest(float(table.score[entry])),
        reason=table.reason,
        indicators={
            name: shortest(value) for name, value in values.items() if math.isfinite(value)
        },
    )


def shortest(value: float) -> Decimal:
    """The shortest text of a float64, as a Decimal: equal scores and only they are equal."""
    return Decimal(repr(value))


def _dollars(price: float) -> Decimal:
    """A price that is rounded to the cent already."""
    return Decimal(f"{price:.2f}")
