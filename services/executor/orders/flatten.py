"""The flatten policy: after a kill every position is sold, and the broker confirms it. Pure.

The authority is each entry's signed protection: what is sent is the market order its stop stands
for, reduce-only. Called by the handlers of `FlattenBegun` and of snapshots.
"""

import datetime as dt
from collections.abc import Collection

from msgspec.structs import replace

from services.executor.orders.state import FlattenProgress, State
from shared.schemas import messages as m

CONFIRM_SECONDS = 60.0
"""A market order fills in seconds while the exchange is open; longer is worth a word."""
FIRST_LOOK, LONGEST_LOOK = 2.0, 60.0
"""Seconds before the broker is asked, doubled each time."""


def begin(state: State, *, at: dt.datetime) -> State:
    """Mark every position to be sold; protections are canceled and market orders follow."""
    positions = {
        symbol: held if held.exit_reason else replace(held, exit_reason="flattened after a kill")
        for symbol, held in state.positions.items()
    }
    known = state.flatten.symbols if state.flatten else ()
    progress = FlattenProgress(
        symbols=tuple(sorted({*known, *positions})),
        since=state.flatten.since if state.flatten else at,
        look_at=at + dt.timedelta(seconds=FIRST_LOOK),
    )
    return replace(state, positions=positions, flatten=progress)


def confirm(
    state: State, held_there: Collection[str], *, at: dt.datetime
) -> tuple[State, tuple[m.Message, ...]]:
    """Report what the broker shows: flat, or after a while what is not.

    `held_there`: symbols in which the broker shows more than others' shares.
    """
    progress = state.flatten
    if progress is None:
        return state, ()
    left = tuple(symbol for symbol in progress.symbols if symbol in held_there)
    if not left and not state.positions:
        return replace(state, flatten=None), (m.FlatConfirmed(symbols=progress.symbols),)
    pause = min(LONGEST_LOOK, FIRST_LOOK * 2.0 ** min(progress.looks, 10))
    later = replace(progress, looks=progress.looks + 1, look_at=at + dt.timedelta(seconds=pause))
    late = (at - progress.since).total_seconds() >= CONFIRM_SECONDS
    if not late or progress.reported:
        return replace(state, flatten=later), ()
    names = left or tuple(sorted(state.positions))
    message = m.FlatNotConfirmed(symbols=names, detail=f"still held after {CONFIRM_SECONDS:.0f} s")
    return replace(state, flatten=replace(later, reported=True)), (message,)
