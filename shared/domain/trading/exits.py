"""Which held positions are due to be closed, by time or by signal, at a slot.

Called by the signal-engine. It never sells: the gate judges every exit, and protection is the
executor's.
"""

import datetime as dt
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.schemas.values import Direction, Exit, Purpose, Slot, Value


class WatchedPosition(Value, frozen=True, kw_only=True):
    """A held position; `qty` is negative for a short, `time_stop_bars` 0 means no time stop."""

    symbol: str
    strategy: str
    qty: int
    entry_session: dt.date
    time_stop_bars: int

    @property
    def direction(self) -> Direction:
        return Direction.LONG if self.qty > 0 else Direction.SHORT


def exits_due(
    panel: Panel,
    positions: Iterable[WatchedPosition],
    slot: Slot,
    tables: Mapping[str, SignalTable],
) -> tuple[Exit, ...]:
    """The exits due at a slot, in order of symbol.

    `panel` ends with the last completed session; `tables` are over exactly that panel. At the close
    slot: positions whose own bar of today would be bar `time_stop_bars` or later (the entry bar is
    1). At the others: positions whose strategy's exit condition held at the close of a bar of
    theirs.
    """
    held = sorted(positions, key=lambda position: position.symbol)
    if slot is Slot.CLOSE:
        found = [_time_exit(position, _own_bars_since(panel, position)) for position in held]
    else:
        found = [_signal_exit(panel, position, tables.get(position.strategy)) for position in held]
    return tuple(each for each in found if each is not None)


def _time_exit(position: WatchedPosition, own: NDArray[np.int64]) -> Exit | None:
    """Today counts as a bar: a symbol without one is unquoted, is not sold, and comes again."""
    bars_held = own.size + 1
    if not position.time_stop_bars or bars_held < position.time_stop_bars:
        return None
    return _exit(position, Purpose.TIME_EXIT, bars_held)


def _signal_exit(panel: Panel, position: WatchedPosition, table: SignalTable | None) -> Exit | None:
    """Any bar since the entry counts, so that an exit which found no buyer is not forgotten."""
    if table is None:
        return None
    flags = table.exit_long if position.qty > 0 else table.exit_short
    if flags is None:
        return None
    own = _own_bars_since(panel, position)
    if not own.size or not flags[panel.row(position.symbol), own].any():
        return None
    return _exit(position, Purpose.SIGNAL_EXIT, own.size)


def _own_bars_since(panel: Panel, position: WatchedPosition) -> NDArray[np.int64]:
    """Columns of the symbol's own bars from the entry on."""
    if position.symbol not in panel.symbols:
        return np.empty(0, np.int64)
    first = int(np.searchsorted(panel.sessions, np.datetime64(position.entry_session)))
    closes = panel.close[panel.row(position.symbol), first:]
    return np.flatnonzero(np.isfinite(closes)) + first


def _exit(position: WatchedPosition, purpose: Purpose, bars_held: int) -> Exit:
    return Exit(
        symbol=position.symbol,
        strategy=position.strategy,
        direction=position.direction,
        purpose=purpose,
        entry_session=position.entry_session,
        bars_held=int(bars_held),
    )
