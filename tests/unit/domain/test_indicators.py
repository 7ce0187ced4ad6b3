"""Indicators against TA-Lib on real bars, and the corners TA-Lib reads differently."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import talib

from shared.domain.arrays import indicators
from shared.domain.market.bars import Panel
from tests.oracles.made_bars import cent_walks, holed
from tests.oracles.real_bars import sample_panel, sp500_panel

pytestmark = pytest.mark.slow

Floats = np.ndarray
ORACLES: dict[str, tuple[Callable[[Panel], Floats], Callable[[Floats, Floats, Floats], Floats]]] = {
    "true range": (
        lambda p: indicators.true_range(p.high, p.low, p.close),
        lambda h, lo, c: talib.TRANGE(h, lo, c),
    ),
    "ATR 14": (
        lambda p: indicators.atr(p.high, p.low, p.close, 14),
        lambda h, lo, c: talib.ATR(h, lo, c, 14),
    ),
    "RSI 2": (lambda p: indicators.rsi(p.close, 2), lambda h, lo, c: talib.RSI(c, 2)),
    "RSI 14": (lambda p: indicators.rsi(p.close, 14), lambda h, lo, c: talib.RSI(c, 14)),
    "SMA 200": (lambda p: indicators.sma(p.close, 200), lambda h, lo, c: talib.SMA(c, 200)),
    "highest 55": (
        lambda p: indicators.highest(p.high, 55),
        lambda h, lo, c: shifted(talib.MAX(h, 55)),
    ),
    "lowest 20": (
        lambda p: indicators.lowest(p.low, 20),
        lambda h, lo, c: shifted(talib.MIN(lo, 20)),
    ),
    "bars since lowest 20": (
        lambda p: indicators.bars_since_lowest(p.low, 20),
        lambda h, lo, c: shifted(last_place_of(lo, talib.MIN(lo, 20))),
    ),
}


def shifted(values: Floats) -> Floats:
    return np.concatenate([[np.nan], values[:-1]])


def last_place_of(values: Floats, extremes: Floats) -> Floats:
    """Bars between t and the latest bar up to it that holds the extreme; by looking."""
    ages = np.full(values.size, np.nan)
    for t in np.flatnonzero(~np.isnan(extremes)):
        ages[t] = t - np.flatnonzero(values[: t + 1] == extremes[t])[-1]
    return ages


@pytest.mark.parametrize("name", ORACLES)
def test_equals_the_oracle_on_the_sample_stocks(name: str) -> None:
    agrees_with_oracle(name, sample_panel())


@pytest.mark.parametrize("name", ORACLES)
def test_equals_the_oracle_on_the_index(name: str, shared_folder: Path) -> None:
    agrees_with_oracle(name, sp500_panel(shared_folder, every=10))


def agrees_with_oracle(name: str, panel: Panel) -> None:
    ours, oracle = ORACLES[name]
    values = ours(panel)
    for row, symbol in enumerate(panel.symbols):
        own = ~np.isnan(panel.close[row])
        expected = oracle(panel.high[row, own], panel.low[row, own], panel.close[row, own])
        np.testing.assert_allclose(
            values[row, own], expected, rtol=1e-9, atol=1e-9, err_msg=f"{name} of {symbol}"
        )
        assert np.isnan(values[row, ~own]).all()


@pytest.mark.parametrize("name", ORACLES)
def test_one_symbol_is_the_same_call_as_a_panel(name: str) -> None:
    panel = holed(cent_walks(1, symbols=5, bars=120))
    whole = ORACLES[name][0](panel)
    for row in range(5):
        fields = {
            each: getattr(panel, each)[row] for each in ("open", "high", "low", "close", "volume")
        }
        alone = ORACLES[name][0](Panel(("S",), panel.sessions, **fields))
        np.testing.assert_array_equal(alone, whole[row])


@pytest.mark.parametrize("name", ORACLES)
def test_nothing_looks_ahead(name: str) -> None:
    panel = cent_walks(2, symbols=3, bars=90)
    whole = ORACLES[name][0](panel)
    for bars in range(1, 91):
        np.testing.assert_array_equal(ORACLES[name][0](panel.first(bars)), whole[:, :bars])


def test_a_flat_window_has_an_rsi_of_50_and_one_without_losses_100() -> None:
    assert indicators.rsi(np.full(6, 7.0), 2).tolist()[2:] == [50.0] * 4
    assert indicators.rsi(np.arange(1.0, 7.0), 2).tolist()[2:] == [100.0] * 4
    assert indicators.rsi(np.arange(9.0, 3.0, -1.0), 2).tolist()[2:] == [0.0] * 4


def test_an_rsi_that_is_70_on_paper_is_70() -> None:
    assert indicators.rsi(np.array([10.1, 10.8, 10.5]), 2)[2] == 70.0


def test_ibs_that_is_a_fifth_on_paper_is_a_fifth() -> None:
    lows = np.array([10.1, 99.99, 1234.56])
    strength = indicators.ibs(np.round(lows + 0.1, 4), lows, np.round(lows + 0.02, 4))
    assert strength.tolist() == [0.2, 0.2, 0.2]


def test_ibs_of_a_bar_without_range_is_unknown() -> None:
    flat = np.array([5.0])
    assert np.isnan(indicators.ibs(flat, flat, flat)).all()


def test_the_mean_of_equal_prices_is_that_price_however_long_it_runs() -> None:
    walk = cent_walks(3, symbols=1, bars=3000).close[0]
    walk[-250:] = 100.1
    assert (indicators.sma(walk, 200)[-50:] == 100.1).all()


def test_the_mean_of_anything_else_is_its_mean_too() -> None:
    values = np.random.default_rng(5).normal(0, 1e-6, 500)
    np.testing.assert_allclose(
        indicators.sma(values, 20)[19:],
        np.convolve(values, np.ones(20) / 20, "valid"),
        rtol=1e-9,
        atol=1e-18,
    )


def test_the_extreme_of_the_previous_bars_leaves_the_current_one_out() -> None:
    values = np.array([1.0, 3.0, 2.0, 9.0, 1.0])
    assert indicators.highest(values, 2).tolist()[2:] == [3.0, 3.0, 9.0]
    assert indicators.lowest(values, 2).tolist()[2:] == [1.0, 2.0, 2.0]
    assert indicators.bars_since_highest(values, 2).tolist()[2:] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 31, 32, 33])
def test_the_highest_of_any_window_is_found(n: int) -> None:
    values = np.random.default_rng(n).normal(size=100)
    expected = [max(values[t - n : t]) for t in range(n, 100)]
    assert indicators.highest(values, n).tolist()[n:] == expected


@pytest.mark.parametrize("bars", [0, 1, 2, 13])
def test_too_few_bars_are_all_unknown(bars: int) -> None:
    short = np.linspace(10, 11, bars)
    for values in (
        indicators.atr(short, short, short, 14),
        indicators.sma(short, 14),
        indicators.rsi(short, 14),
    ):
        assert values.shape == (bars,)
        assert np.isnan(values).all()


def test_the_previous_value_skips_sessions_without_a_bar() -> None:
    bars = np.array([1.0, np.nan, 2.0, 3.0])
    np.testing.assert_array_equal(
        indicators.previous(bars * 10, bars), [np.nan, np.nan, 10.0, 20.0]
    )
