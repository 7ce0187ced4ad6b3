"""`kobe check-strategy`: the contract suite on one strategy over real bars.

Called by the command line. It cuts the bars after every session.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs
from services.research.strategy_check.proof import Proof, prove
from services.research.strategy_check.selection import select_strategies
from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Panel

MOST_SYMBOLS = 20
"""Every cut runs the strategy anew; more symbols would take minutes."""


def check(inputs: Inputs, environ: Mapping[str, str], *, bars: int | None = None) -> Proof:
    """Check the inputs' one strategy on the last `bars` sessions (all if None).

    Raises UserError if there is no such strategy, or more than one.
    """
    strategies = select_strategies(inputs)
    if len(strategies) != 1:
        raise UserError("Check one strategy at a time.", exit_code=64)
    panel = open_dataset(inputs, environ).panel
    return prove(strategies[0].strategy, strategies[0].params, _some(panel, bars))


def _some(panel: Panel, bars: int | None) -> Panel:
    first = 0 if bars is None else max(0, panel.sessions.size - bars)
    fields = {name: getattr(panel, name)[:MOST_SYMBOLS, first:].copy() for name in FIELDS}
    return Panel(panel.symbols[:MOST_SYMBOLS], panel.sessions[first:], **fields)
