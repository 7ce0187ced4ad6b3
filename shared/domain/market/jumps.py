"""Overnight jumps that look like splits: in prices said to be adjusted each one is a contradiction.

Called by the readers of files, the archive and `kobe data check`. It names the session and the
likely ratio; whether a split was announced, only corporate actions say.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Floats, Panel

WHOLE = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
RATIOS = (
    *((shares, 1) for shares in WHOLE),
    *((1, shares) for shares in WHOLE),
    *((3, 2), (5, 2), (4, 3), (5, 4)),
)
"""New shares for old ones, as companies choose them."""
LEAST_JUMP = 1.2
LONGEST_GAP = 10
"""Sessions without a bar over which a jump is still one: a halt, not another life of the symbol."""
WINDOW = 20
"""Bars before a jump, whose median dollar volume and range are a symbol's usual ones."""
ENOUGH = 15
"""Bars before a jump without which nothing is usual yet: such a jump proves nothing."""
SPLITS_A_SYMBOL_YEAR = 0.05
"""Splits of a member of the S&P 500 in a year, 2016 to 2026."""
SESSIONS_A_YEAR = 252
RAW_SHARE = 0.2
"""Raw prices show most of the splits there were; an adjusted file that missed some, far fewer."""
BLOCK = 16
"""Symbols looked at together, so that little memory is needed beside the panel."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How near a jump must come to a ratio: at the open, at the close, in dollar volume, in range.

    A crash by half trades many times the dollars of the days before and swings all day; after a
    split a share trades as ever.
    """

    opening: float
    closing: float
    dollars: float
    swing: float


SMALL = Likeness(opening=0.015, closing=0.03, dollars=1.5, swing=2.5)
"""5:4 and 4:3: falls by a fifth or a quarter are frequent."""
MIDDLE = Likeness(opening=0.025, closing=0.03, dollars=2.0, swing=2.5)
"""3:2: falls by a third are not rare."""
USUAL = Likeness(opening=0.06, closing=0.12, dollars=4.0, swing=8.0)
REVERSE = Likeness(opening=0.2, closing=0.3, dollars=12.0, swing=8.0)
"""1:5 and more: companies in trouble, whose prices move much besides."""


@dataclass(frozen=True, slots=True)
class Jump:
    """Before `session` a share cost about `new`/`old` times what it costs from it on."""

    symbol: str
    session: np.datetime64
    new: int
    old: int
    before: float
    after: float
    bars_before: int

    @property
    def is_usual(self) -> bool:
        """Whether there are bars enough before it to know what is usual."""
        return self.bars_before >= ENOUGH

    @property
    def is_clear(self) -> bool:
        """Whether it speaks for a split by itself: smaller ratios are frequent in bad news too."""
        return self.is_usual and max(self.new / self.old, self.old / self.new) >= 2

    def __str__(self) -> str:
        prices = f"{self.before:.2f} to {self.after:.2f}"
        return f"{self.symbol} {self.session} {prices}, like a {self.new}:{self.old} split"


def find_jumps(panel: Panel) -> list[Jump]:
    """Every split-like jump, by symbol, then session."""
    return [
        jump
        for first in range(0, len(panel.symbols), BLOCK)
        for jump in _block_jumps(panel, slice(first, first + BLOCK))
    ]


def guess_basis(panel: Panel, jumps: Sequence[Jump]) -> Basis:
    """RAW if clear jumps are about as many as there were splits, else SPLIT.

    Adjusted, or none due.
    """
    clear = sum(jump.is_clear for jump in jumps)
    is_raw = clear and clear >= RAW_SHARE * split_expectation(panel)
    return Basis.RAW if is_raw else Basis.SPLIT


def split_expectation(panel: Panel) -> float:
    """How many splits so many bars of large companies have had."""
    bars = sum(int(np.isfinite(closes).sum()) for closes in panel.close)
    return bars / SESSIONS_A_YEAR * SPLITS_A_SYMBOL_YEAR


def _block_jumps(panel: Panel, rows: slice) -> list[Jump]:
    row, column = np.nonzero(np.isfinite(panel.close[rows]))
    row += rows.start
    opening, closing = panel.open[row, column], panel.close[row, column]
    near = (row[1:] == row[:-1]) & (column[1:] - column[:-1] <= LONGEST_GAP)
    ratio = closing[:-1] / opening[1:]
    candidates = np.flatnonzero(near & ((ratio > LEAST_JUMP) | (ratio < 1 / LEAST_JUMP)))
    found = []
    for place in candidates.tolist():
        one = slice(int(np.searchsorted(row, row[place])), place + 1)
        ratio_found = _likely_ratio(panel, row, column, one)
        if ratio_found:
            at = place + 1
            found.append(
                Jump(
                    panel.symbols[row[at]],
                    panel.sessions[column[at]],
                    *ratio_found,
                    before=float(closing[place]),
                    after=float(opening[at]),
                    bars_before=place + 1 - one.start,
                )
            )
    return found


def _likely_ratio(
    panel: Panel, row: NDArray[np.intp], column: NDArray[np.intp], before: slice
) -> tuple[int, int] | None:
    """The ratio that the bar after `before`, some bars of one symbol, speaks for; None if none."""
    places = np.arange(before.start, before.stop)[-WINDOW:]
    after = before.stop
    if not np.ptp(panel.close[row[places], column[places]]):
        return None  # a price that stands still is no market's
    usual = panel.close[row[places], column[places]] * panel.volume[row[places], column[places]]
    now = {
        name: float(getattr(panel, name)[row[after], column[after]])
        for name in ("open", "high", "low", "close", "volume")
    }
    last = float(panel.close[row[places[-1]], column[places[-1]]])
    ratio = min(RATIOS, key=lambda each: abs(np.log(each[0] / each[1] * now["open"] / last)))
    factor = ratio[0] / ratio[1]
    likeness = _likeness(factor)
    dollars = now["close"] * now["volume"] / max(float(np.median(usual)), 1.0)
    ranges = _ranges(panel, row[places], column[places])
    is_like = (
        abs(last / now["open"] / factor - 1) <= likeness.opening
        and abs(last / now["close"] / factor - 1) <= likeness.closing
        and dollars <= likeness.dollars
        and now["high"] / now["low"] - 1 <= likeness.swing * max(float(np.median(ranges)), 0.01)
    )
    return ratio if is_like else None


def _likeness(factor: float) -> Likeness:
    if 1 < factor < 1.6:
        return SMALL if factor < 1.4 else MIDDLE
    return REVERSE if factor <= 1 / 5 else USUAL


def _ranges(panel: Panel, row: NDArray[np.intp], column: NDArray[np.intp]) -> Floats:
    ranges: Floats = panel.high[row, column] / panel.low[row, column] - 1
    return ranges
