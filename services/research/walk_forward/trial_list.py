"""A walk-forward's trials for the ledger: every grid point that was scored. Pure."""

from collections.abc import Iterator, Sequence

from services.research.backtest.trial_ledger import Trial, trial
from services.research.walk_forward.plan import GridSearch, Plan
from services.research.walk_forward.tasks import Score
from services.research.walk_forward.walk_forward import AccountWalk, run_id

KIND = "walk-forward"


def trials_of(plan: Plan, walks: Sequence[AccountWalk]) -> Iterator[Trial]:
    run = run_id(plan)
    for walk in walks:
        for search, scores in zip(walk.account.searches, walk.scores, strict=True):
            yield from _of_grid(plan, search, scores, run)


def _of_grid(plan: Plan, search: GridSearch, scores: Sequence[Score], run: str) -> Iterator[Trial]:
    sessions = plan.market.panel.sessions
    for point, score in enumerate(scores):
        yield trial(
            kind=KIND,
            run=run,
            strategies={search.name: search.grid.parameters(point)},
            terms=search.inputs.terms,
            first=str(sessions[plan.folds[0].test_first]),
            last=str(sessions[plan.folds[-1].test_last]),
            sharpe=score.sharpe,
        )
