"""How long a big grid will take, told before it is begun.

Called by `kobe walk-forward`. It times one parameter set of each strategy on the bars at hand; it
starts nothing.
"""

from __future__ import annotations

import os
import time

import msgspec

from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import Plan, trainings
from shared.domain.errors import UserError

SMALL = 500
"""Trials that are never asked about."""
PATIENCE = 120.0
"""Seconds that need no leave."""
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def refuse_endless(plan: Plan, trials: Trials, *, yes: bool) -> None:
    """UserError that says how long a big grid would take, unless leave was given."""
    if yes or plan.trials <= SMALL:
        return
    needed = seconds(plan, trials)
    if needed > PATIENCE:
        raise UserError(
            f"{plan.trials:,} parameter sets on {len(plan.folds)} windows will take {said(needed)} on this machine; "
            "add --yes to go ahead, or try fewer values."
        )


def seconds(plan: Plan, trials: Trials) -> float:
    """For the whole grid on all cores here."""
    needed = 0.0
    for subject in plan.subjects:
        first = trainings(plan, subject)[0]
        alone = msgspec.structs.replace(first, end=first.begin + 1)
        trials.do(msgspec.structs.replace(first, begin=first.end - 1))
        begun = time.perf_counter()
        trials.do(alone)
        needed += (time.perf_counter() - begun) * subject.grid.size
    return needed / (os.cpu_count() or 1)


def said(seconds: float) -> str:
    """`about 9 hours`."""
    size, unit = next(((size, unit) for size, unit in UNITS if seconds >= 2 * size), UNITS[-1])
    count = max(1, round(seconds / size))
    return f"about {count:,} {unit}{'' if count == 1 else 's'}"
