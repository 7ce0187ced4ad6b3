"""The two kinds of task of a walk-forward and their results, as plain JSON values.

Made by walk_forward.py, done by trials.py, here or on another machine. Equal tasks have equal keys,
and equal keys equal results, bit for bit: a stored result need not be computed again.
"""

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.data.inputs import Inputs
from services.research.engine.performance import PerformanceMetrics
from services.research.walk_forward.folds import Fold
from services.research.walk_forward.grids import Grid
from shared.schemas.json_types import JsonObject


class ScoreTask(msgspec.Struct, frozen=True, kw_only=True, tag="train"):
    """Score the grid's points from `begin` to before `end` on every fold's training window."""

    inputs: Inputs
    """Its one strategy stands for the grid's base."""
    grid: Grid
    begin: int
    end: int
    folds: tuple[Fold, ...]
    objective: str
    keep_every: int
    """Daily returns are given back of every so many points: enough to judge overfitting by."""
    bars_digest: str
    code: str

    @property
    def steps(self) -> int:
        return self.end - self.begin


class WindowTask(msgspec.Struct, frozen=True, kw_only=True, tag="test"):
    """Trade an account's chosen sets through one fold's test window.

    `rules` are the gate's limits where inputs ask for the gate, by rule.
    """

    inputs: Inputs
    fold: Fold
    rules: dict[str, JsonObject]
    slippages: tuple[str, ...]
    """Basis points to repeat it with."""
    bars_digest: str
    code: str

    @property
    def steps(self) -> int:
        return 1


Task = ScoreTask | WindowTask


class Score(msgspec.Struct, frozen=True):
    """One grid point's scores.

    The objective on each fold's training window (None: nothing to judge by), its Sharpe ratio per
    session over all test sessions, and, for some points, its daily returns there as float64.
    """

    objective: tuple[float | None, ...]
    sharpe: float
    returns: bytes | None

    def daily(self) -> NDArray[np.float64]:
        return np.frombuffer(self.returns or b"", "<f8")


class ScoreResult(msgspec.Struct, frozen=True):
    scores: tuple[Score, ...]


class WindowResult(msgspec.Struct, frozen=True):
    """A test window's outcome; `trades` by field of `Trades`."""

    metrics: PerformanceMetrics
    trades: dict[str, list[Any]]
    equity: list[float]
    cash: list[float]
    gross: list[float]
    skipped: dict[str, int]
    returns_by_slippage: dict[str, list[float]]


Result = ScoreResult | WindowResult


def task_key(task: Task) -> str:
    """Letters and digits; depends on the contents of the bars, not on where they lie."""
    bare = msgspec.structs.replace(
        task, inputs=msgspec.structs.replace(task.inputs, bars="", folder="")
    )
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()[:32]


def encode(value: Task | Result) -> str:
    return msgspec.json.encode(value).decode()


def decode_task(text: str) -> Task:
    found: Task = msgspec.json.decode(text, type=ScoreTask | WindowTask)
    return found


def decode_result(text: str | bytes, task: Task) -> Result:
    """The result of `task`. Raises msgspec.ValidationError if it is not one."""
    if isinstance(task, ScoreTask):
        return msgspec.json.decode(text, type=ScoreResult)
    return msgspec.json.decode(text, type=WindowResult)
