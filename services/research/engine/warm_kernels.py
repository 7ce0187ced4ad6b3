"""Compiles every kernel of the simulation ahead of its first use.

Called when the image is built and by workers that stay. Its results are of no use.
"""

import numpy as np

from services.research.engine.simulate import SimulationSettings, simulate
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable


def warm_kernels() -> None:
    """One trade through every compiled function; from the disk cache when it is there."""
    prices = np.full((1, 3), 100.0)
    sessions = np.arange("2000-01-03", "2000-01-06", dtype="datetime64[D]")
    panel = Panel(("A",), sessions, prices, prices, prices, prices, prices)
    at = np.zeros(1, np.int32)
    price = np.full(1, 100.0)
    table = SignalTable(
        at,
        at,
        np.ones(1, np.int8),
        price,
        price - 1,
        price + 1,
        price,
        {},
        5,
        None,
        None,
        "to compile",
    )
    simulate(panel, [("warm", table)], SimulationSettings())
