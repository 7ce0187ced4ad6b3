"""`kobe showdown` and `kobe montecarlo`: strategies side by side, and the part of luck.

The engines are imported when a command runs, so that `kobe status` never waits for compiled
kernels.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from services.console.cli import research_options as options
from services.console.cli.output import AsJson, print_json, terminal
from services.console.cli.trials import record_backtest

Folder = Annotated[
    Path | None,
    typer.Argument(help="Folder of a backtest or walk-forward; without it a backtest is run."),
]


def showdown(
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
    out: options.OutFolder = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies, each run alone with the same cash.

    Without --strategy, every strategy there is.
    """
    options.start_preloading()
    names = strategy or _all_names()
    asked = options.ResearchRequest(
        strategies=names,
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
    )
    environ = options.environ_of(mode, os.environ)
    inputs = options.inputs_from(asked, environ)
    from services.research.backtest.showdown import files, showdown as run, summary
    from services.research.reports import artifacts

    made = run(inputs, environ)
    for each in made.runs:
        record_backtest(each, environ)
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
    samples: Annotated[int, typer.Option("--samples", min=1, help="Histories to draw.")] = 2_000,
    block: Annotated[
        float, typer.Option("--block", min=1, help="Mean length of the blocks drawn, in sessions.")
    ] = 20.0,
    account: Annotated[
        str, typer.Option("--account", help="Which account of a walk-forward; default: the first.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed draws the same.")] = 81,
    out: options.OutFolder = None,
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
        history = read_history(folder, account)
    else:
        options.start_preloading()
        asked = options.ResearchRequest(
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
        )
        from services.research.backtest.run import backtest

        environ = options.environ_of(mode, os.environ)
        history = history_of(backtest(options.inputs_from(asked, environ), environ))
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
