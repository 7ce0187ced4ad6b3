"""How long a big grid will take, estimated before it starts.

Called by `kobe walk-forward`. It times one parameter set of each strategy on the bars at hand; it
starts nothing.
"""

import os
import time

import msgspec

from services.research.walk_forward.plan import Plan, score_tasks
from services.research.walk_forward.trials import Trials
from shared.domain.errors import UserError

SMALL = 500
"""A grid of this size takes seconds: no need to ask."""
PATIENCE = 120.0
"""Seconds a person may be kept waiting without being asked."""
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def refuse_endless_grid(plan: Plan, trials: Trials, *, yes: bool) -> None:
    """Raises UserError if a big grid would take long and `yes` is false."""
    if yes or plan.trials <= SMALL:
        return
    needed = estimate_seconds(plan, trials)
    if needed > PATIENCE:
        raise UserError(
            f"{plan.trials:,} parameter sets on {len(plan.folds)} windows will take "
            f"{duration_text(needed)} on this machine; add --yes to go ahead, or try fewer values."
        )


def estimate_seconds(plan: Plan, trials: Trials) -> float:
    """Seconds for the whole grid on all cores of this machine."""
    needed = 0.0
    for search in plan.searches:
        first = score_tasks(plan, search)[0]
        alone = msgspec.structs.replace(first, end=first.begin + 1)
        trials.do(msgspec.structs.replace(first, begin=first.end - 1))
        begun = time.perf_counter()
        trials.do(alone)
        needed += (time.perf_counter() - begun) * search.grid.size
    return needed / (os.cpu_count() or 1)


def duration_text(estimate_seconds: float) -> str:
    """Words such as `about 9 hours`."""
    size, unit = next(
        ((size, unit) for size, unit in UNITS if estimate_seconds >= 2 * size), UNITS[-1]
    )
    count = max(1, round(estimate_seconds / size))
    return f"about {count:,} {unit}{'' if count == 1 else 's'}"
