"""`kobe walk-forward` and `kobe worker`: research that takes many runs.

The engines are imported when a command runs, so that `kobe status` never waits for compiled
kernels.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.console.cli.output import AsJson, print_json, print_note, progress, terminal
from services.console.cli.research_options import (
    AcceptFlawed,
    Adjust,
    AllowShorts,
    BarsOption,
    BasisOption,
    Cash,
    Changes,
    Costs,
    End,
    ResearchRequest,
    SizingOption,
    Start,
    Strategies,
    Universe,
    inputs_from,
    start_preloading,
)
from shared.domain.errors import UserError

if TYPE_CHECKING:
    from services.research.data.inputs import Inputs
    from services.research.walk_forward.walk_forward import Plan, Runner, WalkForward
    from shared.runtime.config.settings import Settings

USAGE = 64
UNITS = ".units"
OBJECTIVES = ("sharpe", "profit_factor", "return_over_drawdown")

Sessions = int | None
Train = Annotated[
    Sessions, typer.Option("--train", min=2, help="Sessions of training. Default: kobe.toml's.")
]
Test = Annotated[
    Sessions,
    typer.Option("--test", min=1, help="Sessions of test, and the step. Default: kobe.toml's."),
]
Anchored = Annotated[
    bool, typer.Option("--anchored", help="Training begins at the beginning and grows.")
]
Objective = Annotated[
    str, typer.Option("--objective", help=f"{', '.join(OBJECTIVES)}. Default: kobe.toml's.")
]
WalkOut = Annotated[
    Path, typer.Option("--out", help="The folder to write to; run again, it goes on there.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Go ahead, however long a big grid will take.")]
Queue = Annotated[
    bool,
    typer.Option("--queue", help="Let `kobe worker` processes do it, through the research Redis."),
]
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out the HTML report.")]


def walk_forward(
    strategy: Strategies = "",
    bars: BarsOption = "sample",
    universe: Universe = None,
    start: Start = "",
    end: End = "",
    cash: Cash = "100000",
    sizing: SizingOption = "",
    costs: Costs = "5",
    allow_shorts: AllowShorts = False,
    changes: Changes = None,
    accept_flawed: AcceptFlawed = False,
    adjust: Adjust = "",
    basis: BasisOption = "",
    train: Train = None,
    test: Test = None,
    anchored: Anchored = False,
    objective: Objective = "",
    out: WalkOut = Path("runs/walk_forward"),
    no_report: NoReport = False,
    yes: Yes = False,
    queue: Queue = False,
    as_json: AsJson = False,
) -> None:
    """Choose parameters on the past, trade them on what comes next."""
    start_preloading()
    request = ResearchRequest(
        strategy,
        bars,
        universe,
        start,
        end,
        cash,
        sizing,
        costs,
        allow_shorts,
        False,
        changes or [],
        accept_flawed,
        adjust,
        basis,
    )
    from shared.runtime.config.settings import load_settings

    settings = load_settings(os.environ)
    wanted = _request_from(
        inputs_from(request, os.environ), settings, (train, test), anchored, objective
    )
    from services.research.data.dataset import open_dataset
    from services.research.walk_forward import files as walk_forward_files
    from services.research.walk_forward.walk_forward import plan, walk

    planned = plan(wanted, open_dataset(wanted.inputs, os.environ), settings)
    with _runner(planned, out, queue=queue, yes=yes) as runner:
        report = walk_forward_files.assess_walks(planned, walk(planned, runner))
    texts = walk_forward_files.files(report)
    if not no_report:
        from services.research.walk_forward.html_report import render

        texts["wf_report.html"] = render(report)
    walk_forward_files.write_files(out, texts)
    found = walk_forward_files.summary(report)
    if as_json:
        print_json(found)
        return
    from services.console.cli.walk_forward_tables import print_walk

    print_walk(found)
    terminal.print(f"Written to {out}.")


def _request_from(
    inputs: Inputs,
    settings: Settings,
    windows: tuple[Sessions, Sessions],
    anchored: bool,
    objective: str,
) -> WalkForward:
    from services.research.walk_forward.walk_forward import WalkForward

    table = settings.config.research
    chosen = objective or table.objective
    if chosen not in OBJECTIVES:
        raise UserError(
            f"--objective {chosen!r} must be one of {', '.join(OBJECTIVES)}.", exit_code=USAGE
        )
    train, test = windows
    return WalkForward(
        inputs=inputs,
        train=train or table.train,
        test=test or table.test,
        anchored=anchored,
        objective=chosen,
        grids={name: table.grids.get(name, {}) for name in inputs.names},
    )


@contextmanager
def _runner(planned: Plan, out: Path, *, queue: bool, yes: bool) -> Iterator[Runner]:
    with progress("walk-forward", planned.steps) as advance:
        if queue:
            from services.research.walk_forward.queue_runner import QueueRunner

            yield QueueRunner(planned.settings.environment.research_redis_url, advance, print_note)
            return
        from services.research.walk_forward.estimate import refuse_endless_grid
        from services.research.walk_forward.thread_runner import ThreadRunner
        from services.research.walk_forward.trials import Trials

        trials = Trials(planned.market, planned.shelf)
        refuse_endless_grid(planned, trials, yes=yes)
        local = ThreadRunner(trials, out / UNITS, advance)
        yield local
        local.forget_others()


def worker(
    burst: Annotated[bool, typer.Option("--burst", help="Stop when the queue is empty.")] = False,
) -> None:
    """Process queued research; run one per core.

    Any machine will do that reaches the research Redis and the bars.
    """
    from services.research.walk_forward.queue_worker import work
    from shared.runtime.config.settings import load_settings

    work(load_settings(os.environ).environment.research_redis_url, burst=burst)
