"""Trades and the prices around them as compact JSON, for the report's script to draw.

Called by the report. Prices are for the eye: 16 bits on a logarithmic scale, candles or, where that
is too much, closes. The numbers beside them are exact.
"""

import base64
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.research.backtest.run import Run
from services.research.engine.outcomes import EXIT_REASONS

BEFORE, AFTER = 30, 15
"""Sessions shown around a trade: what led to it, and what came after."""
MOST_BYTES = 4_000_000
"""Prices beyond this are sent as closes alone, so that a report stays quick to open."""
LEVELS = 65_534
"""16 bits, less the level that means no bar."""
CANDLES = ("open", "high", "low", "close")


def trade_data(run: Run) -> str:
    """The JSON; money in whole cents, sessions as places in `days`."""
    trades, panel = run.result.trades, run.market.panel
    traded = np.unique(trades.row)
    first = max(0, run.window.first - BEFORE)
    last = min(panel.sessions.size, run.window.last + 1 + AFTER)
    fields = CANDLES if traded.size * (last - first) * 8 <= MOST_BYTES else CANDLES[-1:]
    place = np.zeros(len(panel.symbols), np.int64)
    place[traded] = np.arange(traded.size)
    data = {
        "symbols": [panel.symbols[row] for row in traded],
        "strategies": list(run.result.strategies),
        "reasons": [reason.value.replace("_", " ") for reason in EXIT_REASONS],
        "days": panel.sessions[first:last].astype(str).tolist(),
        "around": [BEFORE, AFTER],
        "symbol": place[trades.row].tolist(),
        "strategy": trades.strategy.tolist(),
        "side": trades.side.tolist(),
        "qty": trades.qty.tolist(),
        "entry": (trades.entry_column - first).tolist(),
        "paid": _cents(trades.entry_price),
        "exit": (trades.exit_column - first).tolist(),
        "got": _cents(trades.exit_price),
        "reason": trades.exit_kind.tolist(),
        "held": trades.bars_held.tolist(),
        "pnl": _cents(trades.pnl),
        "stop": _levels(run, "stop"),
        "target": _levels(run, "target"),
        "fields": len(fields),
        "prices": [
            _pack(np.stack([getattr(panel, name)[row, first:last] for name in fields]))
            for row in traded
        ],
    }
    return msgspec.json.encode(data).decode().replace("</", "<\\/")


def _cents(dollars: NDArray[np.float64]) -> list[int]:
    cents: list[int] = np.rint(dollars * 100).astype(np.int64).tolist()
    return cents


def _levels(run: Run, name: str) -> list[int]:
    """The stop or target each trade was entered with; 0 for none."""
    trades = run.result.trades
    levels = np.zeros(len(trades))
    for place, (_, table) in enumerate(run.tables):
        mine = trades.strategy == place
        levels[mine] = getattr(table, name)[trades.signal[mine]]
    return _cents(np.nan_to_num(levels))


def _pack(prices: NDArray[np.float64]) -> list[Any]:
    """[lowest, highest, base64 of little-endian 16-bit levels]; level 0 means no bar."""
    low, high = float(np.nanmin(prices)), float(np.nanmax(prices))
    span = np.log(high / low) or 1.0
    levels = 1 + np.rint(np.log(prices / low) / span * LEVELS)
    packed = np.nan_to_num(levels, nan=0.0).astype("<u2").tobytes()
    return [round(low, 4), round(low * float(np.exp(span)), 4), base64.b64encode(packed).decode()]
