"""What a check looks at.

Symbols over the whole alphabet and history, and cuts where signals are.
"""

from dataclasses import dataclass

import numpy as np

from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.signal_table import SignalTable

SYMBOLS = 60
"""Enough for every letter and every length of history; signals on them take milliseconds."""
CUTS = 400
"""Each asks the strategy anew; four hundred take seconds, and most signals of sixty symbols."""
QUICK_SYMBOLS, QUICK_CUTS = 24, 12
"""For a backtest, which asks in the same second."""
EVERY = 3
"""One cut in so many lies anywhere, so that a strategy without a signal there is looked at, too."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Printed beside every verdict: it holds for this much, and for no more."""

    symbols: int
    first: str
    last: str
    cuts: int
    signals: int

    def __str__(self) -> str:
        return (
            f"{self.symbols:,} symbols, {self.first[:4]}-{self.last[:4]}, "
            f"{self.cuts:,} cuts, {self.signals:,} signals"
        )


def spread_symbols(panel: Panel, most: int = SYMBOLS) -> Panel:
    """Symbols evenly over the alphabet, with all their sessions."""
    order = sorted(range(len(panel.symbols)), key=panel.symbols.__getitem__)
    places = np.unique(np.linspace(0, len(order) - 1, min(most, len(order))).round().astype(int))
    rows = sorted(order[place] for place in places)
    fields = {name: np.array(getattr(panel, name)[rows]) for name in FIELDS}
    return Panel(tuple(panel.symbols[row] for row in rows), panel.sessions, **fields)


def cuts_at_signals(table: SignalTable, sessions: int, most: int = CUTS) -> list[int]:
    """Numbers of sessions to keep, ascending: each ends on a signal's bar, some anywhere."""
    at = np.unique(table.column) + 1
    spread = max(1, most // EVERY)
    anywhere = np.linspace(1, sessions, min(spread, sessions)).round().astype(int)
    wanted = max(0, most - anywhere.size)
    chosen = at[np.unique(np.linspace(0, at.size - 1, min(wanted, at.size)).round().astype(int))]
    cuts: list[int] = np.unique(np.concatenate([chosen, anywhere])).astype(int).tolist()
    return cuts
