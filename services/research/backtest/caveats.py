"""What a reader must know before believing a run: survivorship, coverage, few trades.

Called by the backtest and the walk-forward. The sentences go into summary.json and on top of every
report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from services.research.data.dataset import Dataset
from services.research.engine.simulate import SimulationResult
from shared.domain.trading.fills import ExitReason

THIN = 0.98
"""A symbol with fewer of its bars than this is named: 2 % is five missing sessions a year."""
GONE_AFTER = 5
"""Sessions without a bar after which a symbol counts as gone.

The simulation closes it then, too.
"""
LONG_ENOUGH = 252
"""In less than a year a complete universe may well lose nobody."""
FEW_TRADES = 30
"""Below this the usual rule of thumb calls a sample small."""
NAMED = 8
"""Symbols listed by name; the others are counted."""


def about_bars(market: Dataset, first: int, last: int) -> Iterator[str]:
    """Caveats about the bars of a window."""
    yield from _survivorship(market, first, last)
    yield from _coverage(market, first, last)
    if market.refused:
        counted = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in market.refused.items()
        )
        yield f"Bars refused as impossible: {counted}."


def about_trades(result: SimulationResult, skipped: Mapping[str, int]) -> Iterator[str]:
    """Caveats about the trades."""
    count = len(result.trades)
    if result.is_ruined:
        yield (
            f"Ruin on {result.sessions[-1]}: equity fell to {result.equity[-1]:,.2f} dollars, "
            "and the run ends there."
        )
    if count < FEW_TRADES:
        yield f"Only {count} trades: nothing can be concluded from so few."
    still_open = result.trades.reasons().count(ExitReason.END_OF_DATA)
    if still_open:
        yield f"{_count_of(still_open, 'position')} open at the end, closed at the last close."
    unserved = skipped.get("insufficient_cash", 0)
    if unserved > count:
        yield f"Cash ran short for {unserved:,} signals: the result depends on their order."


def _survivorship(market: Dataset, first: int, last: int) -> Iterator[str]:
    """Whether symbols that failed are missing: over years a real market loses some."""
    closes = market.panel.close[:, first : last + 1]
    if last - first < LONG_ENOUGH:
        return
    gone = np.isnan(closes[:, -GONE_AFTER:]).all(axis=1) & ~np.isnan(closes).all(axis=1)
    if not gone.any():
        yield (
            f"Survivorship: all {_count_of(len(market.panel.symbols), 'symbol')} still trade at "
            "the end, so those that failed or were taken over are missing. Real results would have "
            "been worse."
        )
    else:
        names = [market.panel.symbols[row] for row in np.flatnonzero(gone)]
        yield f"{_count_of(len(names), 'symbol')} stopped trading on the way: {_name_list(names)}."


def _coverage(market: Dataset, first: int, last: int) -> Iterator[str]:
    present = ~np.isnan(market.panel.close[:, first : last + 1])
    share = present.mean(axis=1)
    thin = [market.panel.symbols[row] for row in np.flatnonzero(share < THIN)]
    if thin:
        yield (
            f"Coverage: {present.mean():.1%} of all bars; {_count_of(len(thin), 'symbol')} with "
            f"less than {THIN:.0%} (listed later, or gaps): {_name_list(thin)}."
        )


def _count_of(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _name_list(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (
        f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    )
