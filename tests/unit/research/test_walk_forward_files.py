"""Walk-forward: going on after an interruption, what a result is keyed by.

And the files it leaves.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from services.research.backtest.costs import CostLevel, break_even
from services.research.backtest.gated_run import gate_rules, run_with_gate
from services.research.engine.outcomes import outcomes, rank
from services.research.engine.performance import daily_returns
from services.research.engine.simulate import simulate
from services.research.engine.slippage import equity_at
from services.research.strategy_check.selection import select_strategies, signals_of
from services.research.walk_forward import files as walk_forward_files
from services.research.walk_forward.folds import window
from services.research.walk_forward.html_report import render
from services.research.walk_forward.plan import Plan, score_tasks
from services.research.walk_forward.tasks import (
    Result,
    Task,
    decode_result,
    decode_task,
    encode,
    task_key,
)
from services.research.walk_forward.thread_runner import ThreadRunner
from services.research.walk_forward.trials import Trials
from services.research.walk_forward.walk_forward import AccountWalk, walk
from shared.domain.risk.sizing import SizingMethod
from tests.unit.research.walks import GRID, market, planned, request, walked


class Interrupt(Exception):
    """As if Ctrl-C had been pressed."""


def test_after_an_interruption_it_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    made = planned()
    whole = walk_forward_files.files(
        walk_forward_files.assess_walks(made, walked(tmp_path / "whole"))
    )

    steps = 0

    def interrupt(done: int) -> None:
        nonlocal steps
        steps += done
        if steps > 6:
            raise Interrupt

    with pytest.raises(Interrupt):
        walk(made, ThreadRunner(Trials(made.market), tmp_path / "cut", interrupt))
    left = {file.name: file.stat().st_mtime_ns for file in (tmp_path / "cut").iterdir()}
    assert left
    again = walk(made, ThreadRunner(Trials(made.market), tmp_path / "cut"))
    assert walk_forward_files.files(walk_forward_files.assess_walks(made, again)) == whole
    assert {name: (tmp_path / "cut" / name).stat().st_mtime_ns for name in left} == left


def test_a_damaged_result_is_made_anew(tmp_path: Path) -> None:
    first = walked(tmp_path)[0]
    for file in tmp_path.iterdir():
        file.write_text(file.read_text()[:-10])
    assert walked(tmp_path)[0].returns.tolist() == first.returns.tolist()


def test_results_of_other_inputs_are_forgotten(tmp_path: Path) -> None:
    walked(tmp_path, market(4))
    made = planned()
    runner = ThreadRunner(Trials(made.market), tmp_path)
    walk(made, runner)
    runner.forget_others()
    assert {file.name for file in tmp_path.iterdir()} == runner.used


def test_tasks_and_results_survive_json_bit_for_bit() -> None:
    made = planned()
    trials = Trials(made.market)

    def through_json(tasks: Sequence[Task]) -> list[Result]:
        copies = [decode_task(encode(task)) for task in tasks]
        assert [task_key(task) for task in copies] == [task_key(task) for task in tasks]
        return [decode_result(encode(trials.do(task)), task) for task in copies]

    straight = walk(made, lambda tasks: [trials.do(task) for task in tasks])
    carried = walk(made, through_json)
    assert [each.returns.tolist() for each in straight] == [
        each.returns.tolist() for each in carried
    ]


def test_a_key_tells_inputs_apart_but_not_where_the_bars_lie() -> None:
    def first(**facts: object) -> str:
        inputs = msgspec.structs.replace(request().inputs, **facts)
        made = planned(inputs=inputs)
        return task_key(score_tasks(made, made.searches[0])[0])

    assert first(bars="/one") == first(bars="/two")
    assert first(cash=Decimal(1)) != first(cash=Decimal(2))


def test_the_files_are_those_that_are_promised(tmp_path: Path) -> None:
    made = walk_forward_files.assess_walks(planned(), walked(tmp_path / "units"))
    texts = walk_forward_files.files(made)
    out = tmp_path / "out"
    (out / "donchian" / "split_09").mkdir(parents=True)
    (out / "donchian" / "split_09" / "params.json").write_text("{}")
    (out / "donchian" / "split_10").mkdir()
    (out / "donchian" / "split_10" / "mine.txt").write_text("not ours")
    walk_forward_files.write_files(out, texts)
    found = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    splits = [f"donchian/split_{number:02d}" for number in range(1, 8)]
    names = ("trade_list.csv", "equity_curve.csv", "summary.json", "params.json")
    assert found == {
        *(f"{split}/{name}" for split in splits for name in names),
        "donchian/equity_curve.csv",
        "donchian/split_10/mine.txt",
        "wf_summary_compare.csv",
        "wf_summary.json",
    }
    params = json.loads((out / "donchian/split_01/params.json").read_text())
    chosen = params["strategies"]["donchian"]
    assert chosen["parameters"].items() >= chosen["tried"].items()
    assert chosen["tried"].keys() == GRID.keys()
    rows = list(csv.DictReader((out / "wf_summary_compare.csv").read_text().splitlines()))
    assert [row["split"] for row in rows] == [*map(str, range(1, 8)), "all"]
    assert sum(int(row["trades"]) for row in rows[:-1]) == int(rows[-1]["trades"])


def test_the_report_needs_no_network_and_says_the_trials(tmp_path: Path) -> None:
    page = render(walk_forward_files.assess_walks(planned(), walked(tmp_path)))
    assert "4 trials" in page
    assert "Deflated Sharpe" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page
    assert "src=" not in page


def both(folder: Path, **facts: Any) -> tuple[Plan, tuple[AccountWalk, ...]]:
    """Donchian and turtle soup, the second without a grid."""
    inputs = request().inputs
    second = msgspec.structs.replace(
        inputs.strategies[0], name="turtle_soup", parameters={"sma_period": 20}
    )
    terms = facts.pop("terms", {})
    made = planned(
        inputs=msgspec.structs.replace(inputs, strategies=(*inputs.strategies, second), **terms),
        grids={"donchian": GRID, "turtle_soup": {}},
        **facts,
    )
    return made, walk(made, ThreadRunner(Trials(made.market), folder))


def test_two_strategies_alone_are_walked_each_by_itself(tmp_path: Path) -> None:
    alone = walked(tmp_path / "alone")[0]
    _, together = both(tmp_path / "both", alone=True)
    assert [each.account.name for each in together] == ["donchian", "turtle_soup"]
    assert together[0].returns.tolist() == alone.returns.tolist()
    assert together[1].account.searches[0].grid.size == 1


def test_together_they_share_one_accounts_cash_in_every_window(tmp_path: Path) -> None:
    made, walks = both(tmp_path)
    assert [each.account.name for each in walks] == ["portfolio"]
    panel = made.market.panel
    for split in walks[0].splits:
        tables = [(each.name, signals_of(panel, each)) for each in select_strategies(split.inputs)]
        cut = window(panel, split.fold.test_first, split.fold.test_last)
        plain = simulate(panel, tables, split.inputs.settings, cut)
        assert split.result.equity.tolist() == plain.equity.tolist()
        assert split.result.trades.strategy.tolist() == plain.trades.strategy.tolist()
    assert set(walks[0].splits[0].values) == {"donchian.lookback", "donchian.stop_mult"}


def test_each_strategys_set_is_chosen_by_itself(tmp_path: Path) -> None:
    _, portfolio = both(tmp_path / "portfolio")
    _, alone = both(tmp_path / "alone", alone=True)
    assert [split.points[0] for split in portfolio[0].splits] == [
        split.points[0] for split in alone[0].splits
    ]


def test_with_policy_every_window_is_a_gated_run(tmp_path: Path) -> None:
    terms = {"policy": True, "sizing": SizingMethod.BUDGET, "size": Decimal(300)}
    made, walks = both(tmp_path, terms=terms)
    panel, rules = made.market.panel, gate_rules(made.rules, allow_shorts=False)
    for split in walks[0].splits:
        selected = select_strategies(split.inputs)
        tables = [(each.name, signals_of(panel, each)) for each in selected]
        found = [outcomes(panel, name, table) for name, table in tables]
        cut = window(panel, split.fold.test_first, split.fold.test_last)
        gated = run_with_gate(
            panel, tables, found, rank(panel, found), split.inputs.settings, rules, cut
        ).result
        assert split.result.equity.tolist() == gated.equity.tolist()
        assert split.tested.skipped == {str(k): v for k, v in gated.skipped.items()}
    free = both(tmp_path / "free", terms={**terms, "policy": False})[1]
    assert walks[0].stitched.skipped != free[0].stitched.skipped


def test_slippage_without_asking_the_gate_again_is_that_of_the_same_trades(tmp_path: Path) -> None:
    terms = {"sizing": SizingMethod.BUDGET, "size": Decimal(1000)}
    _made, walks = both(tmp_path, terms=terms)
    for split in walks[0].splits:
        for bps, exact in split.tested.returns_by_slippage.items():
            close = equity_at(split.result, split.fold.test_first, bps=float(bps), instead_of=5.0)
            again = daily_returns(close, 100_000.0)
            # Fills are whole cents: a few dollars of 100,000 at most.
            assert np.abs(np.cumprod(1 + again)[-1] - np.cumprod(1 + np.array(exact))[-1]) < 2e-4


def test_luck_is_counted_over_all_trials_of_the_run(tmp_path: Path) -> None:
    made, walks = both(tmp_path, alone=True)
    report = walk_forward_files.assess_walks(made, walks)
    assert [each.robustness.trials for each in report.walks] == [5, 5]


def test_the_first_level_of_cost_that_fails_is_named() -> None:
    levels = [
        CostLevel(bps, value, None)
        for bps, value in zip(["0", "5", "10", "20"], (0.1, -0.01, 0.02, -0.3), strict=True)
    ]
    assert break_even(levels) == "the profit is gone at 5 bps of slippage."
    assert break_even([CostLevel("0", -0.1, None)]) == "it loses money even at 0 bps of slippage."
    assert break_even([CostLevel("0", 0.1, None)]) == ""
