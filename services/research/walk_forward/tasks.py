"""The two kinds of work of a walk-forward, and what each gives back, as plain values that fit into JSON.

Made by walk_forward.py, done by trials.py, here or on another machine. Equal tasks have equal keys,
and equal keys equal results, bit for bit: a result that is there already need not be made again.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.data.inputs import Inputs
from services.research.engine.performance import Metrics
from services.research.walk_forward.folds import Fold
from services.research.walk_forward.grids import Grid


class Training(msgspec.Struct, frozen=True, kw_only=True, tag="train"):
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


class Testing(msgspec.Struct, frozen=True, kw_only=True, tag="test"):
    """Trade one parameter set through one fold's test window."""

    inputs: Inputs
    fold: Fold
    slippages: tuple[str, ...]
    """Basis points to repeat it with."""
    bars_digest: str
    code: str

    @property
    def steps(self) -> int:
        return 1


Task = Training | Testing


class Score(msgspec.Struct, frozen=True):
    """One point: the objective on each fold's training window (None: nothing to judge by); its Sharpe ratio per
    session over all test sessions; and its daily returns there, as float64, if they were asked for.
    """

    objective: tuple[float | None, ...]
    sharpe: float
    returns: bytes | None

    def daily(self) -> NDArray[np.float64]:
        return np.frombuffer(self.returns or b"", "<f8")


class Trained(msgspec.Struct, frozen=True):
    scores: tuple[Score, ...]


class Tested(msgspec.Struct, frozen=True):
    """A test window's outcome; `trades` by field of `Trades`."""

    metrics: Metrics
    trades: dict[str, list[Any]]
    equity: list[float]
    cash: list[float]
    gross: list[float]
    skipped: dict[str, int]
    returns_by_slippage: dict[str, list[float]]


Result = Trained | Tested


def key(task: Task) -> str:
    """Letters and digits. Where the bars lie does not matter; what is in them does."""
    bare = msgspec.structs.replace(
        task, inputs=msgspec.structs.replace(task.inputs, bars="", folder="")
    )
    return hashlib.sha256(msgspec.json.encode(bare, order="sorted")).hexdigest()[:32]


def encoded(value: Task | Result) -> str:
    return msgspec.json.encode(value).decode()


def task_from(text: str) -> Task:
    found: Task = msgspec.json.decode(text, type=Training | Testing)
    return found


def result_from(text: str | bytes, task: Task) -> Result:
    """msgspec.ValidationError if it is not such a task's result."""
    if isinstance(task, Training):
        return msgspec.json.decode(text, type=Trained)
    return msgspec.json.decode(text, type=Tested)
