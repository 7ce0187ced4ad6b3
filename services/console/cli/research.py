"""`kobe backtest` and `kobe check-strategy`: research from the command line.

The engines are imported when a command runs, so that `kobe status` never waits for compiled
kernels.
"""

import os
from typing import Annotated

import typer

from services.console.cli import research_options as options
from services.console.cli.output import AsJson, print_json, print_lines, terminal
from services.console.cli.trials import record_backtest

FOUND = 1
NoReport = Annotated[bool, typer.Option("--no-report", help="Leave out report.html.")]


def backtest(
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
    no_report: NoReport = False,
    as_json: AsJson = False,
) -> None:
    """Test strategies on past bars: exact fills, shared cash, costs, every trade."""
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
    environ = options.environ_of(mode, os.environ)
    inputs = options.inputs_from(asked, environ)
    from services.research.backtest.run import backtest as run, files, summary
    from services.research.reports import artifacts

    made = run(inputs, environ)
    luck = record_backtest(made, environ)
    if out:
        texts = files(made)
        if not no_report:
            from services.research.backtest.html_report import render

            texts["report.html"] = render(made)
        artifacts.write_run(out, texts)
    if as_json:
        print_json({**summary(made), "luck": luck})
        return
    from services.console.cli.research_tables import print_run

    print_run(summary(made))
    print_lines(luck.sentences)
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
    bars: options.BarsOption = "sample",
    changes: options.Changes = None,
    accept_flawed: options.AcceptFlawed = False,
    adjust: options.Adjust = "",
    basis: options.BasisOption = "",
    as_json: AsJson = False,
) -> None:
    """Check a strategy for look-ahead on real bars.

    It is asked in fresh processes about bars that are cut where its signals are, with another
    future, other names and other dates, and must say the same of what comes before.
    """
    options.start_preloading()
    asked = options.ResearchRequest(
        strategies=name,
        bars=bars,
        changes=changes or [],
        accept_flawed=accept_flawed,
        adjust=adjust,
        basis=basis,
    )
    inputs = options.inputs_from(asked, os.environ)
    from services.research.strategy_check.check import check

    proof = check(inputs, os.environ)
    if as_json:
        print_json(proof)
    else:
        from services.console.cli.research_tables import print_proof

        print_proof(inputs.names[0], proof)
    if proof.findings:
        raise typer.Exit(FOUND)
