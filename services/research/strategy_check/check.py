"""`kobe check-strategy`: the look-ahead guard on one strategy over the user's bars.

Called by the command line. It looks at symbols over the whole alphabet and all their history.
"""

from collections.abc import Mapping

from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs
from services.research.strategy_check.guard import GuardVerdict, examine
from services.research.strategy_check.selection import select_strategies
from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Panel


def check(inputs: Inputs, environ: Mapping[str, str], *, bars: int | None = None) -> GuardVerdict:
    """Check the inputs' one strategy on the last `bars` sessions (all if None).

    Raises UserError if there is no such strategy, or more than one.
    """
    strategies = select_strategies(inputs)
    if len(strategies) != 1:
        raise UserError("Check one strategy at a time.", exit_code=64)
    panel = open_dataset(inputs, environ).panel
    return examine(inputs, strategies[0], _last(panel, bars))


def _last(panel: Panel, bars: int | None) -> Panel:
    first = 0 if bars is None else max(0, panel.sessions.size - bars)
    fields = {name: getattr(panel, name)[:, first:] for name in FIELDS}
    return Panel(panel.symbols, panel.sessions[first:], **fields)
