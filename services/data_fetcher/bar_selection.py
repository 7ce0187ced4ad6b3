"""Some symbols and dates out of bars that are all at hand. Used by the vendors that hold files."""

import datetime as dt
from collections.abc import Sequence

import numpy as np

from shared.domain.market.bars import Bars


def select_bars(
    bars: Bars, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
) -> Bars:
    """Bars of these symbols with start <= session <= end (None.

    No bound), in the order they stand.
    """
    wanted = set(symbols)
    which = np.array([symbol in wanted for symbol in bars.symbols], bool)[bars.row]
    if start is not None:
        which &= bars.session >= np.datetime64(start)
    if end is not None:
        which &= bars.session <= np.datetime64(end)
    return bars.only(which)
