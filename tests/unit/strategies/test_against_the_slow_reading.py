"""Every strategy's kernels against a plain reading of the rules: the same signals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.strategies import registry
from tests.oracles.made_bars import cent_walks, holed
from tests.oracles.real_bars import sample_panel, sp500_panel
from tests.oracles.slow_signals import READ, Reading, own_bars

pytestmark = pytest.mark.slow

QUICK: dict[str, dict[str, Any]] = {
    "donchian": {"lookback": 5, "atr_period": 3, "min_price": 0.0},
    "turtle_soup": {
        "lookback": 4,
        "sma_period": 6,
        "min_bars_since_extreme": 1,
        "atr_period": 3,
        "allow_shorts": True,
    },
    "rsi2": {"sma_period": 4, "atr_period": 3},
    "ibs": {"sma_period": 4, "atr_period": 3},
    "rsi2_and_ibs": {"sma_period": 4, "atr_period": 3, "rsi_period": 3},
}
"""Short windows, so that few bars hold many signals and many ties."""


def agree(panel: Panel, name: str, **parameters: Any) -> int:
    """Assert that both readings say the same of every symbol; the number of signals."""
    strategy = registry.load(name)
    params = strategy.Params(**parameters)
    table = strategy.signals(panel, params)
    for row in range(len(panel.symbols)):
        bars = own_bars(panel, row)
        reading = READ[name](bars, params)
        entries = np.flatnonzero(table.row == row)
        columns = [bars.columns[signal.t] for signal in reading.signals]
        assert table.column[entries].tolist() == columns, panel.symbols[row]
        assert table.side[entries].tolist() == [signal.side for signal in reading.signals]
        prices_agree(table, entries, reading)
        exits_agree(table, row, bars.columns, reading)
    return table.size


def prices_agree(table: SignalTable, entries: Any, reading: Reading) -> None:
    for name in ("reference_price", "stop", "target"):
        expected = [
            float("nan" if (v := getattr(signal, name)) is None else v)
            for signal in reading.signals
        ]
        np.testing.assert_array_equal(getattr(table, name)[entries], expected, err_msg=name)
    scores = [float(signal.score) for signal in reading.signals]
    np.testing.assert_allclose(table.score[entries], scores, rtol=1e-9, atol=1e-9)
    for name, values in table.indicators.items():
        expected = [float(signal.indicators[name]) for signal in reading.signals]
        np.testing.assert_allclose(values[entries], expected, rtol=1e-9, atol=1e-9, err_msg=name)


def exits_agree(table: SignalTable, row: int, columns: Any, reading: Reading) -> None:
    for flags, expected in (
        (table.exit_long, reading.exit_long),
        (table.exit_short, reading.exit_short),
    ):
        assert (flags is None) == (expected is None)
        if flags is not None and expected is not None:
            assert flags[row, columns].tolist() == expected
            assert flags[row].sum() == sum(expected), "a session without a bar decides nothing"


@pytest.mark.parametrize("name", READ)
def test_agrees_on_the_sample_stocks(name: str) -> None:
    assert agree(sample_panel(), name) > 0


@pytest.mark.parametrize("name", READ)
def test_agrees_on_every_fortieth_symbol_of_the_index(name: str, shared_folder: Path) -> None:
    assert agree(sp500_panel(shared_folder, every=40), name) > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", READ)
def test_agrees_on_every_symbol_of_the_index(name: str, shared_folder: Path) -> None:
    assert agree(sp500_panel(shared_folder), name) > 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", READ)
def test_agrees_on_coarse_prices_full_of_ties_and_holes(name: str, seed: int) -> None:
    assert agree(holed(cent_walks(seed, symbols=8, bars=400)), name, **QUICK[name]) > 0


def test_agrees_when_turtle_soup_may_sell_short(shared_folder: Path) -> None:
    assert agree(sp500_panel(shared_folder, every=60), "turtle_soup", allow_shorts=True) > 0
