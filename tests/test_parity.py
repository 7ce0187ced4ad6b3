"""Backtest = replay = stack: the same fills, share for share and cent for cent."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from services.console.demo import DemoOptions, run_demo
from services.console.parity import backtest_fills, compare, inputs_of_replay, without_protection
from services.console.stack.client import StackClient
from services.console.stack.local_stack import EmbeddedStack
from services.console.stack.memory_stack import Execution, executions, replay
from services.research.data.dataset import open_dataset
from services.research.data.inputs import Inputs
from shared.schemas.streams import Stream

SESSIONS = 250
CHANGES: dict[str, Any] = {
    "sim.timetable.sessions": SESSIONS,
    "sim.timetable.pace_seconds": 0.0,
    "sim.timetable.loop": False,
}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> list[Execution]:
    return replay(tmp_path_factory.mktemp("replay"), CHANGES)


def test_a_replay_in_one_process_fills_what_it_filled_before(
    replayed: list[Execution], tmp_path: Path
) -> None:
    assert len(replayed) >= 10
    assert replay(tmp_path, CHANGES) == replayed


def test_a_backtest_with_the_gates_policy_fills_what_the_replay_fills(
    replayed: list[Execution],
) -> None:
    sessions = open_dataset(Inputs(strategies=(), bars="sample"), {}).panel.sessions
    inputs = inputs_of_replay({}, bars="sample", signals_from=sessions[-SESSIONS - 1].item())
    compared = compare(backtest_fills(inputs, {}), without_protection(replayed))
    assert compared.place is None, compared.story
    assert len(compared.found) == len(replayed)


def test_the_first_difference_is_told_with_what_came_before() -> None:
    day = dt.date(2013, 1, 2)
    fills = [Execution(day, f"S{i}", "buy", "entry", 5, "10.00") for i in range(5)]
    other = [*fills[:4], Execution(day, "S4", "buy", "entry", 6, "10.00")]
    story = compare(fills, other).story
    assert "Fill 5 is the first to differ" in story
    assert "backtest  2013-01-02 entry buy 5 S4 at 10.00" in story
    assert "replay    2013-01-02 entry buy 6 S4 at 10.00" in story
    assert compare(fills, fills[:4]).story.endswith("replay    nothing more")


@pytest.mark.slow
def test_the_real_stack_fills_what_the_replay_fills(
    replayed: list[Execution], tmp_path: Path
) -> None:
    found: list[Execution] = []

    def look(stack: EmbeddedStack) -> None:
        operations.append(StackClient(stack.address))

    operations: list[StackClient] = []

    def take(_: object) -> None:
        found[:] = executions(
            h.message for h in operations[0].after(Stream.EXECUTIONS, count=100_000)
        )

    run_demo(
        DemoOptions(sessions=SESSIONS, keep=tmp_path / "kept"),
        on_start=look,
        on_step=lambda _: None,
        on_progress=take,
    )
    assert found == replayed
