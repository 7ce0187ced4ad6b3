"""The laws of strategies, for every strategy found by its file, on real bars and on made ones.

The user's folder counts too: it is the one that kobe.toml names, or the file in KOBE_CONFIG.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from services.research.strategy_check.checks import first_sessions
from services.research.strategy_check.proof import prove
from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.pandas_frames import frame_of
from shared.domain.market.signal_table import SignalTable
from shared.runtime.config.settings import load_settings
from shared.strategies import registry
from shared.strategies.frames import generate_signals, scan_signals_over_time
from tests.oracles.made_bars import cent_walks, holed
from tests.oracles.real_bars import sample_panel, sp500_panel

STEERING = load_settings({"KOBE_CONFIG": os.environ.get("KOBE_CONFIG", "")}).config
FOLDER = Path(STEERING.strategies.folder) if STEERING.strategies.folder else None
OURS = registry.available()
STRATEGIES = registry.available(FOLDER)
SHORT_WINDOWS = {
    "lookback": 6,
    "sma_period": 8,
    "atr_period": 4,
    "min_bars_since_extreme": 1,
    "min_price": 0.0,
}


def load(name: str) -> registry.Strategy:
    return registry.load(name, FOLDER)


def params_of(name: str, **changes: Any) -> Any:
    """The strategy's defaults with those of the changes whose parameters it has."""
    strategy = load(name)
    known = strategy.Params.__dataclass_fields__
    return registry.params_from(
        strategy, {key: value for key, value in changes.items() if key in known}
    )


def say_the_same(some: SignalTable, others: SignalTable) -> None:
    """To the last bit."""
    for name in (
        "row",
        "column",
        "side",
        "reference_price",
        "stop",
        "target",
        "score",
        "exit_long",
        "exit_short",
    ):
        np.testing.assert_array_equal(getattr(some, name), getattr(others, name), err_msg=name)
    for name, values in some.indicators.items():
        np.testing.assert_array_equal(values, others.indicators[name], err_msg=name)


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_law_holds_at_every_cut_of_the_sample_stocks(name: str) -> None:
    proof = prove(load(name), params_of(name), sample_panel().first(1200))
    assert [str(finding) for finding in proof.findings] == []
    assert proof.cuts == 1200
    assert proof.signals > 0 or name not in OURS


@pytest.mark.parametrize("allow_shorts", [False, True])
@pytest.mark.parametrize("name", STRATEGIES)
def test_every_law_holds_on_coarse_bars_with_holes(name: str, allow_shorts: bool) -> None:
    panel = holed(cent_walks(3, symbols=10, bars=400))
    params = params_of(name, allow_shorts=allow_shorts, **SHORT_WINDOWS)
    proof = prove(load(name), params, panel)
    assert [str(finding) for finding in proof.findings] == []
    assert proof.signals > 0 or name not in OURS


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_law_holds_on_the_index(name: str, shared_folder: Path) -> None:
    panel = sp500_panel(shared_folder, every=50)
    proof = prove(load(name), params_of(name), panel, cuts=range(215, panel.sessions.size, 97))
    assert [str(finding) for finding in proof.findings] == []


@st.composite
def made_panels(draw: st.DrawFn) -> Panel:
    symbols, bars = draw(st.integers(1, 3)), draw(st.integers(0, 60))
    panel = cent_walks(draw(st.integers(0, 10_000)), symbols=symbols, bars=bars)
    gone = np.array(
        draw(st.lists(st.booleans(), min_size=symbols * bars, max_size=symbols * bars)), bool
    )
    if draw(st.booleans()):
        gone[:] = False
    fields: dict[str, Any] = {
        field: np.where(gone.reshape(panel.shape), np.nan, getattr(panel, field))
        for field in FIELDS
    }
    return replace(panel, **fields)


@pytest.mark.parametrize("name", STRATEGIES)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(panel=made_panels())
def test_every_law_holds_on_made_bars(name: str, panel: Panel) -> None:
    params = params_of(name, allow_shorts=True, **SHORT_WINDOWS)
    assert prove(load(name), params, panel).findings == ()


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_cut_changes_no_bit_of_what_was_said(name: str) -> None:
    strategy, panel, params = (
        load(name),
        sample_panel(),
        params_of(name, allow_shorts=True),
    )
    whole = strategy.signals(panel, params)
    for bars in (300, 1111, 2500):
        part = strategy.signals(panel.first(bars), params)
        say_the_same(part, first_sessions(whole, bars))


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_read_only_memory_map_says_the_same_as_arrays(name: str, tmp_path: Path) -> None:
    panel = sample_panel()
    fields: dict[str, Any] = {}
    for field in FIELDS:
        np.save(tmp_path / f"{field}.npy", getattr(panel, field))
        fields[field] = np.load(tmp_path / f"{field}.npy", mmap_mode="r")
    strategy, params = load(name), params_of(name)
    say_the_same(
        strategy.signals(replace(panel, **fields), params), strategy.signals(panel, params)
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_latest_signals_are_the_last_rows_of_the_scan(name: str) -> None:
    panel = holed(sample_panel().first(900))
    frame = frame_of(panel)
    scan = scan_signals_over_time(frame, name, folder=FOLDER)
    for session in scan["session"].unique()[-5:]:
        latest = generate_signals(frame[frame["timestamp"] <= session], name, folder=FOLDER)
        expected = scan[scan["session"] == session].reset_index(drop=True)
        pd.testing.assert_frame_equal(latest, expected, check_exact=True)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_declared_warm_up_is_where_the_first_signal_may_stand(name: str) -> None:
    strategy, params = load(name), params_of(name, allow_shorts=True, **SHORT_WINDOWS)
    panel = cent_walks(0, symbols=400, bars=strategy.warmup(params) + 1)
    columns = set(strategy.signals(panel, params).column.tolist())
    assert columns <= {strategy.warmup(params)}
    assert columns or name not in OURS


@pytest.mark.parametrize("name", STRATEGIES)
def test_too_few_bars_are_no_signals_and_no_error(name: str) -> None:
    strategy = load(name)
    for bars in (0, 1, 2, 50):
        assert strategy.signals(cent_walks(0, symbols=2, bars=bars), params_of(name)).size == 0
    assert strategy.signals(sample_panel().select([]), params_of(name)).size == 0
