"""`kobe showdown` and `kobe montecarlo`: strategies side by side, and the part of luck.

The engines are imported when a command runs, so that `kobe status` never waits for compiled
kernels.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli.output import AsJson, print_json, terminal
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
    OutFolder,
    PolicyOption,
    ResearchRequest,
    SizingOption,
    Start,
    Strategies,
    Universe,
    inputs_from,
    start_preloading,
)

Folder = Annotated[
    Path | None,
    typer.Argument(help="What `kobe backtest --out` wrote; without it a backtest is run."),
]


def showdown(
    strategy: Strategies = "",
    bars: BarsOption = "sample",
    universe: Universe = None,
    start: Start = "",
    end: End = "",
    cash: Cash = "100000",
    sizing: SizingOption = "",
    costs: Costs = "5",
    allow_shorts: AllowShorts = False,
    policy: PolicyOption = False,
    changes: Changes = None,
    accept_flawed: AcceptFlawed = False,
    adjust: Adjust = "",
    basis: BasisOption = "",
    out: OutFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies, each run alone with the same cash.

    Without --strategy, every strategy there is.
    """
    start_preloading()
    names = strategy or _all_names()
    asked = ResearchRequest(
        names,
        bars,
        universe,
        start,
        end,
        cash,
        sizing,
        costs,
        allow_shorts,
        policy,
        changes or [],
        accept_flawed,
        adjust,
        basis,
    )
    inputs = inputs_from(asked, os.environ)
    from services.research.backtest.showdown import files, showdown as run, summary
    from services.research.reports import artifacts

    made = run(inputs, os.environ)
    if out:
        artifacts.write_run(out, files(made))
    if as_json:
        print_json(summary(made))
        return
    from services.console.cli.walk_forward_tables import print_showdown

    print_showdown(summary(made))
    _say_where(out, "the table and the page")


def montecarlo(
    folder: Folder = None,
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
    samples: Annotated[int, typer.Option("--samples", min=1, help="Histories to draw.")] = 2_000,
    block: Annotated[
        float, typer.Option("--block", min=1, help="Mean length of the blocks drawn.")
    ] = 20.0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")] = 81,
    out: OutFolder = None,
    as_json: AsJson = False,
) -> None:
    """Resample a backtest's trades and days: how much was luck."""
    from services.research.backtest.monte_carlo import (
        DrawSettings,
        files,
        history_of,
        read_history,
        summary,
    )

    if folder is not None:
        history = read_history(folder)
    else:
        start_preloading()
        asked = ResearchRequest(
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
        from services.research.backtest.run import backtest

        history = history_of(backtest(inputs_from(asked, os.environ), os.environ))
    draws = DrawSettings(samples=samples, block=block, seed=seed)
    found = summary(history, draws)
    if out:
        from services.research.reports import artifacts

        artifacts.write_run(out, files(history, draws))
    if as_json:
        print_json(found)
        return
    from services.console.cli.walk_forward_tables import print_draws

    print_draws(found)
    _say_where(out, "the page")


def _all_names() -> str:
    from shared.runtime.config.settings import load_settings
    from shared.strategies import registry

    folder = load_settings(os.environ).config.strategies.folder
    return ",".join(registry.available(Path(folder) if folder else None))


def _say_where(out: Path | None, what: str) -> None:
    terminal.print(f"Written to {out}." if out else f"Add --out FOLDER for {what}.")
