"""Asks a strategy in processes of their own: what it has seen before cannot help it there.

Called by guard.py. Each program runs in a fresh process that is watched: files, sockets and
programs that the strategy itself opens are named. The answers come back as signal tables.
"""

import multiprocessing
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from services.research.data.inputs import Inputs
from services.research.strategy_check.checks import StrategyFinding, Unfit
from services.research.strategy_check.proof import StrategyUnderTest
from services.research.strategy_check.selection import StrategyShelf
from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.signal_table import SignalTable

AT_ONCE = 2
"""Processes; each imports numpy and compiled kernels, some hundred megabytes."""
WATCHED = ("open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system")
"""Events of Python's audit hook by which a strategy learns what is not in its bars."""
OF_PYTHON = ("__pycache__", "site-packages", "dist-packages")
"""Parts of paths that importing and compiling open by themselves."""


FOR_PYTHON = ("<frozen ", "pkgutil.py", f"{os.sep}numba{os.sep}", "importlib")
"""Parts of the names of code that opens files to import and compile, whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A change of the bars, then signals on them; names and dates are the same in length.

    `bars`: the sessions kept; `future`: sessions after it are other ones; `days`: added to every
    date; `mark`: put before every symbol.
    """

    bars: int | None = None
    future: int | None = None
    days: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """A table a question, up to the first finding; `touched` names files, sockets and programs."""

    tables: list[SignalTable] = field(default_factory=list)
    finding: StrategyFinding | None = None
    touched: tuple[str, ...] = ()


def ask(inputs: Inputs, panel: Panel, programs: Sequence[Sequence[Question]]) -> list[Answers]:
    """Each program in a process of its own, its questions in order."""
    context = multiprocessing.get_context("spawn")
    workers = min(AT_ONCE, len(programs))
    with ProcessPoolExecutor(workers, context, max_tasks_per_child=1) as pool:
        running = [pool.submit(answer, inputs, panel, tuple(program)) for program in programs]
        try:
            return [each.result() for each in running]
        except BrokenProcessPool:
            sentence = "the process that asked it for signals ended by itself"
            return [Answers(finding=StrategyFinding("raises", sentence))]


def answer(inputs: Inputs, panel: Panel, program: Sequence[Question]) -> Answers:
    """In the fresh process: load the strategy under watch, then ask it."""
    file = Path(inputs.folder, f"{inputs.names[0]}.py").absolute() if inputs.folder else None
    touched: dict[str, None] = {}
    if file is not None:
        sys.addaudithook(lambda event, facts: _watch(event, facts, str(file), touched))
    selected = StrategyShelf().select(inputs)[0]
    tested = StrategyUnderTest(selected.strategy, selected.params)
    tables = []
    for question in program:
        try:
            tables.append(tested.signals(panel_in_question(panel, question)))
        except Unfit as unfit:
            return Answers(tables, unfit.finding, tuple(touched))
    return Answers(tables, None, tuple(touched))


def panel_in_question(panel: Panel, question: Question) -> Panel:
    """The bars that a question is about."""
    bars = panel.sessions.size if question.bars is None else question.bars
    fields = {name: np.array(getattr(panel, name)[:, :bars]) for name in FIELDS}
    if question.future is not None:
        for name, values in fields.items():
            ahead = values[:, question.future :]
            fields[name][:, question.future :] = ahead[:, ::-1] * (1 if name == "volume" else 1.25)
    names = tuple(f"{question.mark}{symbol}" for symbol in panel.symbols)
    return Panel(names, panel.sessions[:bars] + np.timedelta64(question.days, "D"), **fields)


def _watch(event: str, facts: tuple[Any, ...], file: str, touched: dict[str, None]) -> None:
    """Note what the strategy's own code opens, not what Python opens for it."""
    if event not in WATCHED or not _is_asked_by(file, sys._getframe(1)):  # noqa: SLF001  the audit hook needs its caller
        return
    what = str(facts[0] if event != "socket.connect" else facts[1])
    if what != file and not any(part in what for part in OF_PYTHON):
        touched[f"{event.partition('.')[0]} {what}"] = None


def _is_asked_by(file: str, frame: FrameType | None) -> bool:
    """Whether a strategy's own line led here, and not through an import."""
    while frame is not None:
        name = frame.f_code.co_filename
        if any(part in name for part in FOR_PYTHON):
            return False
        if name == file:
            return True
        frame = frame.f_back
    return False
