"""A run's files: CSV and JSON, byte for byte the same for the same inputs; whole or not at all.

Written into a folder aside and renamed, so that a full disk or Ctrl-C leaves no half of a run.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from shared.domain.bars import Panel
from shared.domain.errors import UserError
from shared.domain.simulate import SimulationResult

TRADE_COLUMNS = (
    "symbol",
    "strategy",
    "side",
    "qty",
    "entry_session",
    "entry_price",
    "exit_session",
    "exit_price",
    "reason",
    "bars_held",
    "pnl",
    "costs",
)


def trade_rows(panel: Panel, result: SimulationResult) -> list[tuple[object, ...]]:
    """One row a round trip, in order of entry, with the columns of TRADE_COLUMNS."""
    trades = result.trades
    return [
        (
            panel.symbols[trades.row[i]],
            result.strategies[trades.strategy[i]],
            "long" if trades.side[i] > 0 else "short",
            int(trades.qty[i]),
            str(panel.sessions[trades.entry_column[i]]),
            f"{trades.entry_price[i]:.2f}",
            str(panel.sessions[trades.exit_column[i]]),
            f"{trades.exit_price[i]:.2f}",
            reason,
            int(trades.bars_held[i]),
            f"{trades.pnl[i]:.2f}",
            f"{trades.costs[i]:.4f}",
        )
        for i, reason in enumerate(trades.reasons())
    ]


def trade_list(panel: Panel, result: SimulationResult) -> str:
    return csv_text(TRADE_COLUMNS, trade_rows(panel, result))


def equity_curve(result: SimulationResult) -> str:
    rows = zip(result.sessions, result.equity, result.cash, result.gross, strict=True)
    return csv_text(
        ("session", "equity", "cash", "gross"),
        [(str(session), f"{equity:.4f}", f"{cash:.4f}", f"{gross:.4f}") for session, equity, cash, gross in rows],
    )


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()


def json_text(value: Any) -> str:
    """Sorted keys, two spaces; floats as Python writes them."""
    encoded = msgspec.json.encode(value, order="sorted")
    return msgspec.json.format(encoded, indent=2).decode() + "\n"


def write_run(folder: Path, files: Mapping[str, str]) -> None:
    """Put all files into `folder`: first all of them aside, then each renamed into its place. Others stay."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        for name, text in files.items():
            _parent(aside / name).write_text(text)
        for name in files:
            (aside / name).replace(_parent(folder / name))
    except OSError as error:
        raise UserError(f"The results could not be written to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _parent(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
