"""`kobe check-strategy`: the contract suite on one strategy over real bars.

Called by the command line. Every cut of the bars is tried, so a look-ahead has nowhere to hide.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.research.data.dataset import open_market
from services.research.data.inputs import Inputs
from services.research.strategy_check.proof import Proof, prove
from services.research.strategy_check.selection import chosen
from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Panel

MOST_SYMBOLS = 20
"""A strategy speaks of one symbol at a time: a few prove as much as all."""


def check(inputs: Inputs, environ: Mapping[str, str], *, bars: int | None = None) -> Proof:
    """Prove the run's one strategy on its bars, the last `bars` sessions of them (all if None).

    UserError where it cannot even be asked (unknown, no such file) or is not alone."""
    picked = chosen(inputs)
    if len(picked) != 1:
        raise UserError("Check one strategy at a time.", exit_code=64)
    panel = open_market(inputs, environ).panel
    return prove(picked[0].strategy, picked[0].params, _some(panel, bars))


def _some(panel: Panel, bars: int | None) -> Panel:
    first = 0 if bars is None else max(0, panel.sessions.size - bars)
    fields = {name: getattr(panel, name)[:MOST_SYMBOLS, first:].copy() for name in FIELDS}
    return Panel(panel.symbols[:MOST_SYMBOLS], panel.sessions[first:], **fields)
