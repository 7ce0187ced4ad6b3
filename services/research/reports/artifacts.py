"""A run's files: CSV and JSON, byte for byte the same for the same inputs; whole or not at all.

Written into a folder aside and renamed, so that a full disk or Ctrl-C leaves no half of a run.
"""

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from services.research.engine.simulate import SimulationResult
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel

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
    trades, sessions = result.trades, panel.sessions.astype(str).tolist()
    columns = (
        [panel.symbols[row] for row in trades.row.tolist()],
        [result.strategies[place] for place in trades.strategy.tolist()],
        ["long" if side > 0 else "short" for side in trades.side.tolist()],
        trades.qty.tolist(),
        [sessions[column] for column in trades.entry_column.tolist()],
        [f"{price:.2f}" for price in trades.entry_price.tolist()],
        [sessions[column] for column in trades.exit_column.tolist()],
        [f"{price:.2f}" for price in trades.exit_price.tolist()],
        trades.reasons(),
        trades.bars_held.tolist(),
        [f"{pnl:.2f}" for pnl in trades.pnl.tolist()],
        [f"{costs:.4f}" for costs in trades.costs.tolist()],
    )
    return list(zip(*columns, strict=True))


def trade_list(panel: Panel, result: SimulationResult) -> str:
    return csv_text(TRADE_COLUMNS, trade_rows(panel, result))


def equity_curve(result: SimulationResult) -> str:
    money = [
        [f"{value:.4f}" for value in curve.tolist()]
        for curve in (result.equity, result.cash, result.gross)
    ]
    rows = zip(result.sessions.astype(str).tolist(), *money, strict=True)
    return csv_text(("session", "equity", "cash", "gross"), rows)


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
    """Write all files aside, then move them into `folder`; what else lies there stays.

    Raises UserError if they cannot be written.
    """
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.writing")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        for name, text in files.items():
            _parent(aside / name).write_text(text, encoding="utf-8")
        if not folder.exists():
            aside.rename(folder)
            return
        for name in files:
            (aside / name).replace(_parent(folder / name))
    except OSError as error:
        raise UserError(
            f"The results could not be written to {folder}: {error.strerror}."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _parent(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
