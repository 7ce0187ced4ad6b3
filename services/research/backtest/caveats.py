"""What a reader must know before believing a run: survivorship, coverage, few trades.

Called by the backtest and the walk-forward. The sentences go into summary.json and on top of every
report.
"""

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
USUAL_OF_LARGE, USUAL_OF_ALL = 0.02, 0.07
"""Orders of magnitude, not estimates: index members that cease to exist, and delistings."""
FEW_TRADES = 30
"""Below this the usual rule of thumb calls a sample small."""
NAMED = 8
"""Symbols listed by name; the others are counted."""


def about_bars(market: Dataset, first: int, last: int) -> Iterator[str]:
    """Caveats about the bars of a window."""
    yield from _look_ahead_caveat(market)
    yield from _survivorship(market, first, last)
    yield from _coverage(market, first, last)
    if market.refused:
        counted = ", ".join(
            f"{count} {reason.replace('_', ' ')}" for reason, count in market.refused.items()
        )
        yield f"Bars refused as impossible: {counted}."


def _look_ahead_caveat(market: Dataset) -> Iterator[str]:
    """What the bars are, and what about them is odd."""
    found = market.check()
    yield (
        f"Bars: {market.source}, {found.basis}, {_count_of(len(found.symbols), 'symbol')}, "
        f"{found.bars:,} bars from {found.first} to {found.last}; {found.missing:,} missing within "
        f"their histories, {sum(found.refused.values()):,} refused, "
        f"{found.jumps:,} jumps unexplained."
    )
    jumps = [jump for each in found.symbols for jump in each.jumps]
    if jumps:
        more = f" and {len(jumps) - NAMED} more" if len(jumps) > NAMED else ""
        yield f"Not adjusted, by their looks: {'; '.join(jumps[:NAMED])}{more}."


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
    """How many symbols stopped trading, beside how many usually do."""
    present = ~np.isnan(market.panel.close[:, first : last + 1])
    if last - first < LONG_ENOUGH:
        return
    gone = ~present[:, -GONE_AFTER:].any(axis=1) & present.any(axis=1)
    names = [market.panel.symbols[row] for row in np.flatnonzero(gone)]
    rate = len(names) / (float(present.sum()) / LONG_ENOUGH)
    count = f"{len(names):,} of {_count_of(len(market.panel.symbols), 'symbol')}"
    who = f" ({_name_list(names)})" if names else ""
    usual = (
        f"of large US companies about {USUAL_OF_LARGE:.0%}, of all listed ones about "
        f"{USUAL_OF_ALL:.0%} a year usually are taken over or fail"
    )
    verdict = (
        " Most of those that did are missing here, so real results would have been worse."
        if rate < USUAL_OF_LARGE / 2
        else ""
    )
    yield f"Survivorship: {count}{who} stopped trading, {rate:.1%} a year; {usual}.{verdict}"


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
