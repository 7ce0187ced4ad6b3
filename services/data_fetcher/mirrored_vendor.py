"""A vendor of files whose bars never end.

After the last session they run backwards, then forwards, and so on.

For a demonstration stack that is left running (timetable.loop). Sessions go on by the exchange's
calendar, so dates only grow and every id stays unique; a price never jumps where the direction
turns. Never where orders are real.
"""

import datetime as dt
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.data_fetcher.bar_selection import select_bars
from services.data_fetcher.vendor_registry import BarsVendor
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import Sessions

SessionsAfter = Callable[[dt.date, dt.date], Sequence[dt.date]]
"""The exchange's sessions after one day up to and with another."""


class Endless:
    def __init__(self, vendor: BarsVendor, sessions: SessionsAfter) -> None:
        self._vendor, self._sessions = vendor, sessions

    @property
    def basis(self) -> Basis:
        return self._vendor.basis

    def source(self) -> str:
        return f"{self._vendor.source()}|endless"

    def symbols(self) -> tuple[str, ...]:
        return self._vendor.symbols()

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        """Without an end only what is real.

        Up to an end later than that, the mirrored sessions too.
        """
        real = self._vendor.daily_bars(symbols, None, None)
        if end is None or not real.row.size or end <= real.session.max():
            return select_bars(real, symbols, start, end)
        last: dt.date = real.session.max().item()
        more = _mirror(real, np.array(self._sessions(last, end), "datetime64[D]"))
        return select_bars(
            more if start and start > last else _append_bars(real, more), symbols, start, end
        )


def _mirror(real: Bars, sessions: Sessions) -> Bars:
    """The first session is the last real one backwards.

    A bar backwards opens at its close and closes at its open.
    """
    days, column = np.unique(real.session, return_inverse=True)
    order = np.argsort(column, kind="stable")
    edges = np.searchsorted(column[order], np.arange(days.size + 1))
    lap, place = np.divmod(np.arange(sessions.size), days.size)
    backwards = lap % 2 == 0
    shown = np.where(backwards, days.size - 1 - place, place)
    counts = edges[shown + 1] - edges[shown]
    taken = (
        np.concatenate([order[edges[day] : edges[day + 1]] for day in shown])
        if shown.size
        else order[:0]
    )
    turned: NDArray[np.bool_] = np.repeat(backwards, counts)
    return Bars(
        real.symbols,
        real.row[taken],
        np.repeat(sessions, counts),
        open=np.where(turned, real.close[taken], real.open[taken]),
        high=real.high[taken],
        low=real.low[taken],
        close=np.where(turned, real.open[taken], real.close[taken]),
        volume=real.volume[taken],
    )


def _append_bars(first: Bars, then: Bars) -> Bars:
    names = ("row", "session", "open", "high", "low", "close", "volume")
    fields = {name: np.concatenate([getattr(first, name), getattr(then, name)]) for name in names}
    return Bars(first.symbols, **fields)
