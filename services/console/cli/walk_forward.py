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

import msgspec
import typer

from services.console.cli import research_options as options
from services.console.cli.output import (
    AsJson,
    print_json,
    print_lines,
    print_note,
    progress,
    terminal,
)
from services.console.cli.trials import record_walks
from shared.domain.errors import UserError

if TYPE_CHECKING:
    from services.research.data.inputs import Inputs
    from services.research.walk_forward.plan import Plan, WalkForward
    from services.research.walk_forward.walk_forward import Runner
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
Alone = Annotated[
    bool,
    typer.Option("--alone", help="Each strategy in an account of its own, not all in one."),
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
    strategy: options.Strategies = "",
    bars: options.BarsOption = "sample",
    universe: options.Universe = None,
    start: options.Start = "",
    end: options.End = "",
    cash: options.Cash = "100000",
    sizing: options.SizingOption = "",
    costs: options.Costs = "5",
    allow_shorts: options.AllowShorts = False,
    policy: options.PolicyOption = False,
    changes: options.Changes = None,
    accept_flawed: options.AcceptFlawed = False,
    adjust: options.Adjust = "",
    basis: options.BasisOption = "",
    mode: options.ModeOption = "",
    cash_rate: options.CashRate = "0",
    train: Train = None,
    test: Test = None,
    anchored: Anchored = False,
    alone: Alone = False,
    objective: Objective = "",
    out: WalkOut = Path("runs/walk_forward"),
    no_report: NoReport = False,
    yes: Yes = False,
    queue: Queue = False,
    as_json: AsJson = False,
) -> None:
    """Choose parameters on the past, trade them on what comes next.

    All strategies trade in one account, at the sizes of --mode, unless --alone or --sizing say
    otherwise; with --policy the risk-gate judges every entry.
    """
    options.start_preloading()
    request = options.ResearchRequest(
        strategies=strategy,
        bars=bars,
        universe=universe,
        start=start,
        end=end,
        cash=cash,
        sizing=sizing,
        costs=costs,
        allow_shorts=allow_shorts,
        policy=policy,
        changes=changes or [],
        accept_flawed=accept_flawed,
        adjust=adjust,
        basis=basis,
        mode=mode,
        cash_rate=cash_rate,
        traded=True,
    )
    from shared.runtime.config.settings import load_settings

    environ = options.environ_of(mode, os.environ)
    settings = load_settings(environ)
    wanted = _request_from(
        options.inputs_from(request, environ), settings, (train, test), anchored, objective
    )
    wanted = msgspec.structs.replace(wanted, alone=alone)
    from services.research.data.dataset import open_dataset
    from services.research.walk_forward import files as walk_forward_files
    from services.research.walk_forward.plan import plan
    from services.research.walk_forward.walk_forward import walk

    planned = plan(wanted, open_dataset(wanted.inputs, environ), settings)
    with _runner(planned, out, queue=queue, yes=yes) as runner:
        walks = walk(planned, runner)
    report = walk_forward_files.assess_walks(planned, walks)
    luck = record_walks(planned, walks, environ)
    texts = walk_forward_files.files(report)
    if not no_report:
        from services.research.walk_forward.html_report import render

        texts["wf_report.html"] = render(report)
    walk_forward_files.write_files(out, texts)
    found = walk_forward_files.summary(report)
    if as_json:
        print_json({**found, "luck": luck})
        return
    from services.console.cli.walk_forward_tables import print_walk

    print_walk(found)
    print_lines(luck.sentences)
    terminal.print(f"Written to {out}.")


def _request_from(
    inputs: Inputs,
    settings: Settings,
    windows: tuple[Sessions, Sessions],
    anchored: bool,
    objective: str,
) -> WalkForward:
    from services.research.walk_forward.plan import WalkForward

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
