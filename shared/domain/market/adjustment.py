"""How prices are adjusted, and the factors that bring raw bars to one share basis.

Called by the archive, the readers of files and research. It says nothing about where corporate
actions come from (shared/schemas/corporate_actions.py has what they are).
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import PRICES, Bars, Floats, Panel
from shared.domain.market.sessions import Day, Sessions, next_session
from shared.schemas.corporate_actions import Split


class Basis(StrEnum):
    """What a price means. Bars of two bases are never mixed."""

    RAW = "unadjusted"
    SPLIT = "split-adjusted"
    TOTAL = "split- and dividend-adjusted"
    UNKNOWN = "adjustment unknown"


def effective_splits(splits: Iterable[Split], last: Day) -> tuple[Split, ...]:
    """Those that the session after `last` opens with: a later one is announced, not yet true."""
    opening = next_session(last)
    return tuple(split for split in splits if np.datetime64(split.ex_date) <= opening)


def split_factors(sessions: Sessions, splits: Iterable[Split]) -> Floats:
    """Per session the number of today's shares that one share was then; splits of one symbol."""
    factors = np.ones(sessions.size)
    for split in splits:
        factors[sessions < np.datetime64(split.ex_date)] *= float(split.ratio)
    return factors


def apply_splits(panel: Panel, splits: Iterable[Split]) -> None:
    """Bring raw bars in a panel of one's own to the share basis after all of these splits."""
    for symbol, own in _by_symbol(splits).items():
        if symbol in panel.symbols:
            row, factors = panel.row(symbol), split_factors(panel.sessions, own)
            for name in PRICES:
                prices = getattr(panel, name)
                prices[row] = np.round(prices[row] / factors, 4)
            panel.volume[row] = np.round(panel.volume[row] * factors)


def adjust_for_splits(bars: Bars, splits: Iterable[Split]) -> Bars:
    """Raw bars on the share basis after all of these splits, prices to four decimals."""
    factors = np.ones(bars.row.size)
    for symbol, own in _by_symbol(splits).items():
        if symbol in bars.symbols:
            entries = np.flatnonzero(bars.row == bars.symbols.index(symbol))
            factors[entries] = split_factors(bars.session[entries], own)
    return scale(bars, factors)


def scale(bars: Bars, factors: NDArray[np.float64]) -> Bars:
    """Prices divided and volumes multiplied by a factor for each bar."""
    prices = {name: np.round(getattr(bars, name) / factors, 4) for name in PRICES}
    return replace(bars, volume=np.round(bars.volume * factors), **prices)


def _by_symbol(splits: Iterable[Split]) -> dict[str, list[Split]]:
    grouped: dict[str, list[Split]] = defaultdict(list)
    for split in splits:
        grouped[split.symbol].append(split)
    return grouped
