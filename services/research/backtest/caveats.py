"""What a reader must know before believing a run: survivorship, coverage, refused bars, too few trades.

Called by the backtest and the walk-forward; the sentences go into summary.json and on top of every
report.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from services.research.data.dataset import Market
from services.research.engine.simulate import SimulationResult
from shared.domain.trading.fills import ExitReason

THIN = 0.98
GONE_AFTER = 5
LONG_ENOUGH = 252
FEW_TRADES = 30
NAMED = 8


def of_market(market: Market, first: int, last: int) -> Iterator[str]:
    """About the bars of a window."""
    yield from _survivors(market, first, last)
    yield from _coverage(market, first, last)
    if market.refused:
        counted = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in market.refused.items()
        )
        yield f"Bars refused as impossible: {counted}."


def of_result(result: SimulationResult, skipped: Mapping[str, int]) -> Iterator[str]:
    """About the trades."""
    count = len(result.trades)
    if count < FEW_TRADES:
        yield f"Only {count} trades: nothing can be concluded from so few."
    still_open = result.trades.reasons().count(ExitReason.END_OF_DATA)
    if still_open:
        yield f"{_counted(still_open, 'position')} still open at the end, closed there at the last close."
    unserved = skipped.get("insufficient_cash", 0)
    if unserved > count:
        yield f"Cash ran short for {unserved:,} signals: the result depends on which were served first."


def _survivors(market: Market, first: int, last: int) -> Iterator[str]:
    """An index's members of today are those that did well; a market of years loses some symbols."""
    closes = market.panel.close[:, first : last + 1]
    if last - first < LONG_ENOUGH:
        return
    gone = np.isnan(closes[:, -GONE_AFTER:]).all(axis=1) & ~np.isnan(closes).all(axis=1)
    if not gone.any():
        yield (
            f"Survivorship: all {_counted(len(market.panel.symbols), 'symbol')} still trade at the end, so those "
            "that failed or were bought on the way are missing. Real results would have been worse."
        )
    else:
        names = [market.panel.symbols[row] for row in np.flatnonzero(gone)]
        yield f"{_counted(len(names), 'symbol')} stopped trading on the way: {_listed(names)}."


def _coverage(market: Market, first: int, last: int) -> Iterator[str]:
    there = ~np.isnan(market.panel.close[:, first : last + 1])
    share = there.mean(axis=1)
    thin = [market.panel.symbols[row] for row in np.flatnonzero(share < THIN)]
    if thin:
        yield (
            f"Coverage: {there.mean():.1%} of all bars; {_counted(len(thin), 'symbol')} with less than {THIN:.0%} "
            f"(listed later, or gaps): {_listed(thin)}."
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (
        f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    )
