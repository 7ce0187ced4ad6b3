"""Walk-forward: going on after an interruption, what a result is keyed by.

And the files it leaves.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from services.research.walk_forward import files as walk_forward_files
from services.research.walk_forward.html_report import render
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
from services.research.walk_forward.walk_forward import score_tasks, walk
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
    assert params["parameters"].items() >= params["tried"].items()
    assert params["tried"].keys() == GRID.keys()
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


def test_two_strategies_are_walked_each_by_itself(tmp_path: Path) -> None:
    alone = walked(tmp_path / "alone")[0]
    both = request().inputs
    second = msgspec.structs.replace(
        both.strategies[0], name="turtle_soup", parameters={"sma_period": 20}
    )
    together = walked(
        tmp_path / "both",
        inputs=msgspec.structs.replace(both, strategies=(*both.strategies, second)),
        grids={"donchian": GRID, "turtle_soup": {}},
    )
    assert [each.search.name for each in together] == ["donchian", "turtle_soup"]
    assert together[0].returns.tolist() == alone.returns.tolist()
    assert together[1].search.grid.size == 1
