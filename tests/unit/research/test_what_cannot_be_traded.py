"""Indices and bars without volume are history; an account at zero has ended."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from services.research.backtest import caveats
from services.research.engine.performance import daily_returns, measure
from services.research.engine.simulate import SimulationSettings, simulate
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk.sizing import Sizing, SizingMethod


def flat_panel(symbol: str = "AAA", bars: int = 8, price: float = 100.0) -> Panel:
    close = np.full((1, bars), price)
    sessions = np.arange("2024-01-02", "2024-06-01", dtype="datetime64[D]")[:bars]
    return Panel((symbol,), sessions, close, close + 1, close - 1, close, np.full_like(close, 1e6))


def signal(column: int, *, side: int = 1, stop: float = 90.0, bars: int = 3) -> SignalTable:
    one = np.full(1, column, np.int32)
    return SignalTable(
        np.zeros(1, np.int32),
        one,
        np.full(1, side, np.int8),
        np.full(1, 100.0),
        np.full(1, stop),
        np.full(1, np.nan),
        np.ones(1),
        {},
        bars,
        None,
        None,
        "test",
    )


def test_a_share_is_traded_and_an_index_is_not() -> None:
    settings = SimulationSettings()
    assert len(simulate(flat_panel("AAA"), [("s", signal(1))], settings).trades) == 1
    index = simulate(flat_panel("^GSPC"), [("s", signal(1))], settings)
    assert len(index.trades) == 0
    assert index.skipped["untradable"] == 1


def test_a_bar_without_volume_fills_no_entry() -> None:
    panel = flat_panel()
    volume = panel.volume.copy()
    volume[0, 2] = 0
    result = simulate(replace(panel, volume=volume), [("s", signal(1))], SimulationSettings())
    assert len(result.trades) == 0
    assert result.skipped["untradable"] == 1


@pytest.fixture
def squeeze() -> Panel:
    """A short at 100 becomes a debt at 500, with bars enough for it to go on."""
    panel = flat_panel(bars=10)
    close = panel.close.copy()
    close[0, 4:] = 500.0
    return replace(panel, open=close, high=close + 1, low=close - 1, close=close)


def test_ruin_ends_the_run_and_is_named_with_its_day(squeeze: Panel) -> None:
    sizing = Sizing(SizingMethod.CASH_FRACTION, Decimal("0.9"))
    settings = SimulationSettings(sizing=sizing, allow_shorts=True)
    table = signal(1, side=-1, stop=10_000.0, bars=8)
    result = simulate(squeeze, [("s", table)], settings)
    assert result.is_ruined
    assert result.sessions[-1] == squeeze.sessions[4]
    assert result.equity.size == 5
    metrics = measure(result)
    assert metrics.total_return < -1
    assert metrics.cagr == -1.0
    assert (metrics.sharpe, metrics.sortino, metrics.volatility, metrics.calmar) == (None,) * 4
    sentences = list(caveats.about_trades(result, result.skipped))
    assert sentences[0].startswith("Ruin on 2024-01-06: equity fell to -")


def test_returns_after_ruin_are_nothing() -> None:
    equity = np.array([100.0, 50.0, -10.0, -10.0])
    assert daily_returns(equity, 100.0).tolist() == [0.0, -0.5, -1.2, 0.0]
