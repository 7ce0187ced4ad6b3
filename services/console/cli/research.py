"""`kobe backtest` and `kobe check-strategy`: research from the command line.

The engines are imported when a command runs, so that `kobe status` never waits for compiled
kernels.
"""

from __future__ import annotations

import os
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

FOUND, HISTORY = 1, 756
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")]


def backtest(
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
    no_report: NoReport = False,
    as_json: AsJson = False,
) -> None:
    """Test strategies on past bars: exact fills, shared cash, costs, every trade."""
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
        policy,
        changes or [],
        accept_flawed,
        adjust,
        basis,
    )
    inputs = inputs_from(asked, os.environ)
    from services.research.backtest.run import backtest as run, files, summary
    from services.research.reports import artifacts

    made = run(inputs, os.environ)
    if out:
        texts = files(made)
        if not no_report:
            from services.research.backtest.html_report import render

            texts["report.html"] = render(made)
        artifacts.write_run(out, texts)
    if as_json:
        print_json(summary(made))
        return
    from services.console.cli.research_tables import print_run

    print_run(summary(made))
    place = (
        f"Written to {out}."
        if out
        else "Add --out FOLDER for the trades, the equity curve and the report."
    )
    terminal.print(place)


def check_strategy(
    name: Annotated[
        str, typer.Argument(help="A strategy's name, or your own file: my_strategy.py.")
    ],
    bars: BarsOption = "sample",
    changes: Changes = None,
    accept_flawed: AcceptFlawed = False,
    adjust: Adjust = "",
    basis: BasisOption = "",
    all_bars: Annotated[
        bool, typer.Option("--all-bars", help="The whole history, not the last 3 years.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a strategy for look-ahead on real bars.

    The bars are cut after every session, and it must say the same of what comes before the cut.
    """
    start_preloading()
    asked = ResearchRequest(
        strategies=name,
        bars=bars,
        changes=changes or [],
        accept_flawed=accept_flawed,
        adjust=adjust,
        basis=basis,
    )
    inputs = inputs_from(asked, os.environ)
    from services.research.strategy_check.check import check

    proof = check(inputs, os.environ, bars=None if all_bars else HISTORY)
    if as_json:
        print_json(proof)
    else:
        from services.console.cli.research_tables import print_proof

        print_proof(inputs.names[0], proof)
    if proof.findings:
        raise typer.Exit(FOUND)
