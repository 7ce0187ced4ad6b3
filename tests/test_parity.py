"""Backtest = replay = stack: the same fills, share for share and cent for cent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.console.demo import DemoOptions, run_demo
from services.console.embedded import EmbeddedStack
from services.console.operations import Operations
from shared.schemas.streams import Stream
from tests.replay import Execution, executions, replay

SESSIONS = 120
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


@pytest.mark.slow
def test_the_real_stack_fills_what_the_replay_fills(replayed: list[Execution], tmp_path: Path) -> None:
    found: list[Execution] = []

    def look(stack: EmbeddedStack) -> None:
        operations.append(Operations(stack.address))

    operations: list[Operations] = []

    def take(_: object) -> None:
        found[:] = executions(h.message for h in operations[0].after(Stream.EXECUTIONS, count=100_000))

    run_demo(DemoOptions(sessions=SESSIONS, keep=tmp_path / "kept"), started=look, say=lambda _: None, show=take)
    assert found == replayed
