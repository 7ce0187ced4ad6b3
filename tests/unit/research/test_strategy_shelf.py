"""A strategy is loaded once a run: by however many threads, and whatever becomes of its file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from services.research.data.inputs import Inputs, StrategyInputs
from services.research.strategy_check.selection import StrategyShelf
from shared.domain.errors import UserError

SLOW = """
from __future__ import annotations
import time
from dataclasses import dataclass

with open({log!r}, "a") as log:
    log.write("x")
time.sleep(0.05)

@dataclass(frozen=True)
class Period:
    bars: int = 20

@dataclass(frozen=True)
class Params:
    lookback: int = 20
    stop: float = 2.0

NAME = "slow"
VERSION = 1
def warmup(params: Params) -> int:
    return params.lookback
def signals(panel, params: Params):
    raise NotImplementedError
"""


def written(folder: Path) -> Inputs:
    (folder / "slow.py").write_text(SLOW.format(log=str(folder / "log")))
    return Inputs(strategies=(StrategyInputs(name="slow"),), folder=str(folder))


def test_many_threads_load_it_once(tmp_path: Path) -> None:
    inputs, shelf = written(tmp_path), StrategyShelf()
    found: list[object] = []
    threads = [
        threading.Thread(target=lambda: found.append(shelf.select(inputs)[0].strategy))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert (tmp_path / "log").read_text() == "x"


def test_a_file_that_changes_during_a_run_changes_nothing(tmp_path: Path) -> None:
    inputs, shelf = written(tmp_path), StrategyShelf()
    before = shelf.select(inputs)[0]
    file = tmp_path / "slow.py"
    file.write_text(file.read_text().replace("VERSION = 1", "VERSION = 2"))
    after = shelf.select(inputs)[0]
    assert (after.strategy, after.digest) == (before.strategy, before.digest)
    shelf.forget()
    assert shelf.select(inputs)[0].digest != before.digest


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_parameter_that_is_no_finite_number_is_refused(value: float, tmp_path: Path) -> None:
    inputs = written(tmp_path)
    strategies = (StrategyInputs(name="slow", parameters={"stop": value}),)
    with pytest.raises(UserError, match=r"slow\.stop must be a finite number"):
        StrategyShelf().select(Inputs(strategies=strategies, folder=inputs.folder))
