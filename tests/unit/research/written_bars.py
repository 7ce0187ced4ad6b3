"""Bars and strategies as a user has them: a CSV file and a Python file, written for a test."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bar_rows import trading_days

FLAT = (100.0, 101.0, 99.0, 100.0)
Bar = Sequence[float]
FIRST = dt.date(2019, 12, 31)
HEAD = "timestamp,symbol,open,high,low,close,volume"


def write_bars(file: Path, changes: Mapping[str, Mapping[int, Bar | None]], days: int = 12) -> Path:
    """Flat bars of every symbol but on the days given; None = no bar."""
    sessions = trading_days(FIRST, days)
    lines = [HEAD]
    for symbol, unusual in changes.items():
        for day, session in enumerate(sessions):
            bar = unusual.get(day, FLAT)
            if bar is not None:
                lines.append(f"{session},{symbol},{','.join(map(str, bar))},1000")
    file.write_text("\n".join(lines) + "\n")
    return file


def write_strategy(folder: Path, name: str, body: str, *, warmup: int = 0) -> Path:
    """`body` is that of signals(panel, params); it has np, signal_table and on(rows, columns)."""
    folder.mkdir(exist_ok=True)
    file = folder / f"{name}.py"
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    file.write_text(
        _HEADER.format(name=name, warmup=warmup) + f"\n\ndef signals(panel, params):\n{indented}\n"
    )
    return file


_HEADER = '''"""A strategy of a test."""

from dataclasses import dataclass

import numpy as np

from shared.domain.market.signal_table import signal_table

NAME = "{name}"


@dataclass(frozen=True)
class Params:
    stop: float = 90.0
    target: float = 120.0
    bars: int = 5


def warmup(params):
    return {warmup}


def on(panel, params, rows, columns):
    row, column = np.array(rows, np.int32), np.array(columns, np.int32)
    full = np.full(row.size, 1.0)
    return signal_table(
        row=row,
        column=column,
        side=np.ones(row.size, np.int8),
        close=panel.close[row, column],
        stop=full * params.stop,
        target=full * params.target,
        score=np.zeros(row.size),
        indicators={{}},
        time_stop_bars=params.bars,
        reason="a test",
    )
'''

SECOND_DAY = """
there = np.flatnonzero(panel.close[:, 1] > 0) if panel.sessions.size > 1 else []
return on(panel, params, there, [1] * len(there))
"""
"""Signals for every symbol at the close of the second session."""
