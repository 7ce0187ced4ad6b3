"""Rows that are no daily bars: several times of day within one session, or a bar still running.

Called by reader.py where a file has times of day at all.
"""

import numpy as np
from numpy.typing import NDArray

from shared.domain.errors import UserError
from shared.domain.market.sessions import Sessions
from shared.runtime.bar_files.dates import Minutes

OPEN, CLOSE, EARLY_CLOSE = 9 * 60 + 30, 16 * 60, 13 * 60
HOUR = 60
"""Daily bars stamped in UTC without saying so move by an hour with summer time."""
MOSTLY = 0.5
RARELY = 0.01


def find_intraday(
    row: NDArray[np.int32], session: Sessions, minute: Minutes, *, is_instant: bool
) -> NDArray[np.bool_] | None:
    """The rows that are no daily bars; None if there are none.

    Raises UserError if most are.
    """
    times, counts = np.unique(minute, return_counts=True)
    if times.size <= 1:
        return None
    usual = int(times[counts.argmax()])
    shared = _has_other_times(row, session, minute)
    if shared.mean() > MOSTLY:
        at = int(shared.argmax())
        same = (row == row[at]) & (session == session[at])
        clocks = ", ".join(f"{each // 60:02d}:{each % 60:02d}" for each in minute[same][:3])
        raise UserError(
            f"it holds intraday bars ({session[at]} at {clocks} …); daily bars are needed, one a "
            "session."
        )
    odd = ~np.isin(minute, [usual, usual - HOUR, usual + HOUR])
    running = odd & (minute > OPEN) & (minute < CLOSE) & (minute != EARLY_CLOSE)
    if not is_instant or running.mean() > RARELY:
        running[:] = False
    intraday = (shared & (minute != usual)) | running
    return intraday if intraday.any() else None


def _has_other_times(
    row: NDArray[np.int32], session: Sessions, minute: Minutes
) -> NDArray[np.bool_]:
    """Rows whose symbol and session have other times of day too."""
    order = np.lexsort((minute, session, row))
    same = (row[order][1:] == row[order][:-1]) & (session[order][1:] == session[order][:-1])
    differs = same & (minute[order][1:] != minute[order][:-1])
    shared = np.zeros(row.size, bool)
    shared[order[1:]] |= differs
    shared[order[:-1]] |= differs
    return shared
