"""The same trades at another slippage: exact where sizes do not depend on it, else close.

Used where trading again would ask the gate again, which takes seconds. It changes no decision.
"""

import numpy as np
from numpy.typing import NDArray

from services.research.engine.outcome_kernels import ENDED, TARGET
from services.research.engine.simulate import SimulationResult

BASIS_POINT = 1e-4
WITHOUT = (TARGET, ENDED)
"""Exits that pay none: a resting limit, and a closing by adjustment."""


def equity_at(
    result: SimulationResult, first: int, *, bps: float, instead_of: float
) -> NDArray[np.float64]:
    """Equity at each close with `bps` of slippage; `first` is the window's first column."""
    trades, sessions = result.trades, result.equity.size
    change = (bps - instead_of) * BASIS_POINT
    paid = np.zeros(sessions)
    np.add.at(paid, trades.entry_column - first, trades.qty * trades.entry_price * change)
    slips = ~np.isin(trades.exit_kind, WITHOUT)
    exits = trades.exit_column[slips] - first
    np.add.at(paid, exits, (trades.qty * trades.exit_price)[slips] * change)
    equity: NDArray[np.float64] = result.equity - np.cumsum(paid)
    return equity
