"""The signals of one strategy over one panel, and the rounding of their prices.

Strategies make tables with `signal_table`; the simulation and the signal-engine read them. Nothing
is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LONG, SHORT = 1, -1


@dataclass(frozen=True, slots=True, eq=False)
class SignalTable:
    """One entry per signal, sorted by (row, column); at most one per (row, column)."""

    row: NDArray[np.int32]
    """Index into panel.symbols."""
    column: NDArray[np.int32]
    """Index into panel.sessions: the signal bar t."""
    side: NDArray[np.int8]
    """+1 long, -1 short."""
    reference_price: Floats
    """C[t]; this, stop and target are rounded to the cent, half even."""
    stop: Floats
    target: Floats
    """NaN = none."""
    score: Floats
    """Unrounded; more is better."""
    indicators: Mapping[str, Floats]
    """Name -> the value the strategy used, unrounded, aligned with the rows."""
    time_stop_bars: int
    exit_long: Flags | None
    """(symbols, bars): a long should leave after the close of t; None = no signal exit."""
    exit_short: Flags | None
    reason: str

    @property
    def size(self) -> int:
        return int(self.row.size)

    def only(self, which: Flags) -> SignalTable:
        """The entries where `which` is true; the exit flags stay whole."""
        names = ("row", "column", "side", "reference_price", "stop", "target", "score")
        fields = {name: getattr(self, name)[which] for name in names}
        indicators = {name: values[which] for name, values in self.indicators.items()}
        return replace(self, indicators=indicators, **fields)

    def on(self, column: int) -> SignalTable:
        """The signals of one session."""
        return self.only(self.column == column)


def cents(prices: Floats) -> Floats:
    """Rounded to the cent, half even, as on paper.

    First to 1e-8: a price that is 96.015 on paper is a tie, whichever side of it its float64
    happens to lie.
    """
    rounded: Floats = np.rint(np.rint(prices * 1e8) / 1e6) / 100
    return rounded


def signal_table(
    *,
    row: NDArray[np.int32],
    column: NDArray[np.int32],
    side: NDArray[np.int8],
    close: Floats,
    stop: Floats,
    target: Floats | None,
    score: Floats,
    indicators: Mapping[str, Floats],
    time_stop_bars: int,
    reason: str,
    exit_long: Flags | None = None,
    exit_short: Flags | None = None,
) -> SignalTable:
    """A table from unrounded prices: one entry per signal, sorted by (row, column).

    `target` None: no signal has one.
    """
    return SignalTable(
        row=row,
        column=column,
        side=side,
        reference_price=cents(close),
        stop=cents(stop),
        target=np.full(row.size, np.nan) if target is None else cents(target),
        score=score,
        indicators=indicators,
        time_stop_bars=time_stop_bars,
        exit_long=exit_long,
        exit_short=exit_short,
        reason=reason,
    )
