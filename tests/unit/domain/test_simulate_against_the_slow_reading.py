"""Kernels and the slow reading of the rules agree to the cent, on made and on real bars."""

from dataclasses import fields
from decimal import Decimal
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from services.research.engine.portfolio_kernels import Window
from services.research.engine.simulate import SimulationSettings
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.domain.trading.fills import Costs
from tests.oracles.panels import agree
from tests.oracles.real_bars import sample_panel, sp500_panel

pytestmark = pytest.mark.slow

D = Decimal

CANONICAL = ("donchian", "turtle_soup")
STRATEGIES = (*CANONICAL, "rsi2", "ibs", "rsi2_and_ibs")
SIZINGS = (
    Sizing(SizingMethod.CASH_FRACTION, D("0.007")),
    Sizing(SizingMethod.CASH_FRACTION, D("0.6")),
    Sizing(SizingMethod.BUDGET, D("412.34")),
    Sizing(SizingMethod.BUDGET, D(25_000)),
    Sizing(SizingMethod.RISK_FRACTION, D("0.01")),
)
COSTS = (
    Costs(),
    Costs(slippage_bps=D(0)),
    Costs(slippage_bps=D("17.125"), commissions=True, commission_per_share=D("0.0035")),
)


def made_panel(rng: np.random.Generator, symbols: int, days: int, wild: float) -> Panel:
    """Prices that gap, with holes, late listings and early ends."""
    steps = np.exp(np.cumsum(rng.normal(0, wild, (symbols, days)), axis=1))
    close = rng.uniform(0.5, 150, (symbols, 1)) * steps
    opening = close * np.exp(rng.normal(0, wild, close.shape))
    reach = np.abs(rng.normal(0, wild / 2, (2, *close.shape)))
    high, low = (
        np.maximum(opening, close) * np.exp(reach[0]),
        np.minimum(opening, close) * np.exp(-reach[1]),
    )
    absent = rng.random(close.shape) < rng.choice([0.0, 0.1, 0.5])
    born, dies = rng.integers(0, days, symbols) // 3, days - rng.integers(0, days, symbols) // 3
    absent |= (np.arange(days) < born[:, None]) | (np.arange(days) >= dies[:, None])
    opening, high, low, close = (
        np.where(absent, np.nan, np.round(np.maximum(price, 0.02), 4))
        for price in (opening, high, low, close)
    )
    names = rng.permutation([f"S{row}" for row in range(symbols)]).tolist()
    sessions = np.datetime64("2020-01-01", "D") + np.arange(days)
    return Panel(tuple(names), sessions, opening, high, low, close, np.where(absent, np.nan, 1.0))


def made_signals(rng: np.random.Generator, panel: Panel, often: float) -> SignalTable:
    """Signals on bars, with stops and targets that the next opens may jump over."""
    row, column = np.nonzero(~np.isnan(panel.close) & (rng.random(panel.close.shape) < often))
    price, side = panel.close[row, column], rng.choice([1, 1, -1], row.size).astype(np.int8)
    away = rng.uniform(0.0, 0.1, (2, row.size)) * price
    target = np.round(price + side * away[1], 2)
    flags = (rng.random(panel.close.shape) < 0.1) & ~np.isnan(panel.close)
    return SignalTable(
        row=row.astype(np.int32),
        column=column.astype(np.int32),
        side=side,
        reference_price=np.round(price, 2),
        stop=np.round(price - side * away[0], 2),
        target=np.where(rng.random(row.size) < 0.3, np.nan, np.maximum(target, 0.01)),
        score=rng.integers(0, 3, row.size).astype(np.float64),
        indicators={},
        time_stop_bars=int(rng.integers(1, 9)),
        exit_long=flags if rng.random() < 0.5 else None,
        exit_short=flags if rng.random() < 0.5 else None,
        reason="made",
    )


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32),
    symbols=st.integers(1, 6),
    days=st.integers(2, 40),
    wild=st.sampled_from([0.002, 0.02, 0.1]),
    often=st.sampled_from([0.05, 0.3, 1.0]),
    cash=st.sampled_from([D(200), D("5000.37"), D(100_000)]),
    sizing=st.sampled_from(SIZINGS),
    costs=st.sampled_from(COSTS),
    shorts=st.booleans(),
    cut=st.tuples(st.floats(0, 1), st.floats(0, 1), st.booleans()),
)
def test_on_made_bars_with_holes_gaps_ends_and_scarce_cash(
    seed: int, symbols: int, days: int, wild: float, often: float,
    cash: D, sizing: Sizing, costs: Costs,
    shorts: bool, cut: tuple[float, float, bool],
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    panel = made_panel(rng, symbols, days, wild)
    tables = [(name, made_signals(rng, panel, often)) for name in ("s", "t")[: 1 + seed % 2]]
    first, last = sorted(min(int(share * days), days - 1) for share in cut[:2])
    window = Window(first, last, first - 1 if cut[2] else first)
    agree(
        panel,
        tables,
        SimulationSettings(cash=cash, sizing=sizing, costs=costs, allow_shorts=shorts),
        window,
    )


@pytest.mark.parametrize("sizing", SIZINGS, ids=lambda sizing: f"{sizing.method}-{sizing.value}")
def test_on_the_sample_bars(sizing: Sizing) -> None:
    panel = sample_panel()
    rng = np.random.default_rng(81)
    tables = [("s", made_signals(rng, panel, 0.2)), ("t", made_signals(rng, panel, 0.05))]
    assert agree(panel, tables, SimulationSettings(sizing=sizing, allow_shorts=True)) > 300


def strategy_tables(panel: Panel, *names: str) -> list[tuple[str, SignalTable]]:
    """Signals of these strategies with their defaults, shorts included where they have any."""
    tables = []
    for name in names:
        strategy = import_module(f"shared.strategies.{name}")
        shorts = "allow_shorts" in {field.name for field in fields(strategy.Params)}
        params = strategy.Params(allow_shorts=True) if shorts else strategy.Params()
        tables.append((name, strategy.signals(panel, params)))
    return tables


def test_on_a_slice_of_the_sp500_with_the_canonical_set(shared_folder: Path) -> None:
    panel = sp500_panel(shared_folder, sessions=700, every=12)
    tables = strategy_tables(panel, "donchian", "turtle_soup")
    assert agree(panel, tables, SimulationSettings()) > 300
    scarce = SimulationSettings(
        cash=D(20_000), sizing=Sizing(SizingMethod.BUDGET, D(1_000)), allow_shorts=True
    )
    assert agree(panel, tables, scarce, Window(400, 600, 399)) > 50


@pytest.mark.slow
@pytest.mark.parametrize("names", [*((name,) for name in STRATEGIES), CANONICAL], ids="+".join)
def test_on_all_of_the_sp500_for_every_strategy(
    shared_folder: Path, names: tuple[str, ...]
) -> None:
    panel = sp500_panel(shared_folder)
    assert (
        agree(panel, strategy_tables(panel, *names), SimulationSettings(allow_shorts=True)) > 1_000
    )
