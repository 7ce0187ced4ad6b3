"""`kobe trials`, and the ledger that backtests and walk-forwards are written into."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.console.cli import research_options as options
from services.console.cli.output import AsJson, print_json, print_lines, print_note, print_rows
from shared.domain.errors import UserError
from shared.schemas.json_types import JsonMapping

if TYPE_CHECKING:
    from services.research.backtest.run import Run
    from services.research.backtest.trial_ledger import Luck, Trial, TrialLedger
    from services.research.walk_forward.plan import Plan
    from services.research.walk_forward.walk_forward import AccountWalk

Export = Annotated[Path | None, typer.Option("--export", help="Write all of them as CSV here.")]
SHOWN = 20
"""Rows in the terminal; --export has them all."""
COLUMNS = ("key", "kind", "run", "strategies", "first", "last", "sharpe")


def trials(
    bars: options.BarsOption = "sample", export: Export = None, as_json: AsJson = False
) -> None:
    """Show every trial ever made on these bars: each of them makes the best one luckier."""
    from services.research.data.dataset import open_dataset
    from services.research.data.inputs import Inputs

    dataset = open_dataset(Inputs(strategies=(), bars=bars), os.environ)
    found = _ledger(dataset.digest, os.environ).read()
    if export:
        _export(export, found)
    if as_json:
        print_json({"bars": dataset.digest, "trials": found})
        return
    rows = [_row(each) for each in found[-SHOWN:]]
    title = f"Trials on {dataset.source}, the last {len(rows)} of {len(found):,}"
    print_rows(title, COLUMNS[1:], [row[1:] for row in rows], empty="No trial has been made yet.")
    if export:
        print_lines([f"Written to {export}."])


def record_backtest(run: Run, environ: Mapping[str, str]) -> Luck:
    """Count a backtest; what the ledger says of it."""
    from services.research.backtest.run import KIND, trial_of
    from services.research.backtest.trial_ledger import luck
    from services.research.engine.performance import daily_returns

    returns = daily_returns(run.result.equity, run.result.starting_cash)
    known = _count(_ledger(run.market.digest, environ), [trial_of(run, KIND)])
    return luck(known, {", ".join(run.inputs.names): returns})


def record_walks(plan: Plan, walks: Iterable[AccountWalk], environ: Mapping[str, str]) -> Luck:
    """Count every grid point of a walk-forward; what the ledger says of each account."""
    from services.research.backtest.trial_ledger import luck
    from services.research.walk_forward.trial_list import trials_of

    done = tuple(walks)
    known = _count(_ledger(plan.market.digest, environ), list(trials_of(plan, done)))
    return luck(known, {walk.account.name: walk.returns for walk in done})


def _count(ledger: TrialLedger, made: list[Trial]) -> list[Trial]:
    """All trials there are now. A ledger that cannot be written costs no result, only a note."""
    try:
        return ledger.add(made)
    except UserError as error:
        print_note(str(error))
        return [*ledger.read(), *made]


def _ledger(bars_digest: str, environ: Mapping[str, str]) -> TrialLedger:
    from services.research.backtest.trial_ledger import TrialLedger

    return TrialLedger(Path(environ.get("KOBE_STATE_DIR") or "state"), bars_digest)


def _export(file: Path, found: Iterable[Trial]) -> None:
    from services.research.reports.artifacts import csv_text

    try:
        file.write_text(csv_text(COLUMNS, [_row(each) for each in found]), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}.") from error


def _row(each: Trial) -> tuple[Any, ...]:
    return (
        each.key,
        each.kind,
        each.run,
        "; ".join(
            f"{name} {_parameters(values)}".strip() for name, values in each.strategies.items()
        ),
        each.first,
        each.last,
        f"{each.sharpe:.5f}",
    )


def _parameters(values: JsonMapping) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())
