"""Strategies are found by file name; a wrong name, file or parameter is one clear sentence."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared.domain.errors import UserError
from shared.strategies import registry
from shared.strategies.frames import scan_signals_over_time

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[3]
LEAST = """
from dataclasses import dataclass

NAME = "mine"


@dataclass(frozen=True)
class Params:
    window: int = 3


def warmup(params):
    return params.window


def signals(panel, params):
    raise NotImplementedError
"""


def test_all_our_strategies_are_found_and_named_as_their_files() -> None:
    assert registry.available() == ("donchian", "ibs", "rsi2", "rsi2_and_ibs", "turtle_soup")
    assert [registry.load(name).NAME for name in registry.available()] == list(registry.available())


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(UserError, match="no strategy 'turtle_soop'; did you mean 'turtle_soup'"):
        registry.load("turtle_soop")


@pytest.mark.parametrize("name", ["registry", "proof", "__init__", "../rsi2"])
def test_what_lies_beside_strategies_is_none(name: str) -> None:
    with pytest.raises(UserError, match="There is no strategy"):
        registry.load(name)


def test_a_users_file_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(LEAST)
    assert "mine" in registry.available(tmp_path)
    assert registry.load("mine", tmp_path).Params().window == 3


@pytest.mark.parametrize(
    ("name", "source", "sentence"),
    [
        ("mine", "def (", "cannot be loaded: SyntaxError"),
        ("mine", "import nowhere_to_be_found", "cannot be loaded: ModuleNotFoundError"),
        ("mine", "NAME = 'mine'", "does not offer Params, warmup, signals"),
        ("mine", LEAST.replace('"mine"', '"yours"'), "has NAME = 'yours'"),
        ("mine", LEAST.replace("int = 3", "int"), "needs a default"),
        ("mine", LEAST.replace("@dataclass(frozen=True)\n", ""), "must be a dataclass"),
        ("donchian", LEAST, "name of a built-in strategy"),
    ],
)
def test_a_users_file_that_cannot_serve_is_refused(
    name: str, source: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text(source)
    with pytest.raises(UserError, match=sentence):
        registry.load(name, tmp_path)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        registry.available(tmp_path / "nowhere")


def test_parameters_are_taken_from_a_table() -> None:
    strategy = registry.load("donchian")
    assert registry.params_from(strategy, {}) == strategy.Params()
    params = registry.params_from(strategy, {"lookback": 20, "min_price": 3})
    assert (params.lookback, params.min_price) == (20, 3.0)


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"lokback": 20}, "no parameter 'lokback'; did you mean 'lookback'"),
        ({"lookback": 20.5}, "parameter 'lookback': Expected `int`"),
        ({"lookback": "20"}, "parameter 'lookback': Expected `int`"),
        ({"lookback": 0}, "parameter 'lookback': Expected `int` >= 1"),
        ({"stop_mult": -1.0}, "parameter 'stop_mult'"),
        ({"stop_mult": float("nan")}, "parameter 'stop_mult'"),
        ({"stop_mult": float("inf")}, "parameter 'stop_mult'"),
        ({"min_price": True}, "parameter 'min_price'"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused(table: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        registry.params_from(registry.load("donchian"), table)


def test_the_shipped_configuration_holds_the_defaults() -> None:
    tables = tomllib.loads((ROOT / "compose" / "kobe.toml").read_text())["strategies"]["parameters"]
    for name, table in tables.items():
        strategy = registry.load(name)
        assert registry.params_from(strategy, table) == strategy.Params()


def test_a_frame_and_a_wrong_parameter_meet_the_same_sentence() -> None:
    import pandas as pd

    with pytest.raises(UserError, match="no parameter 'lookbak'"):
        scan_signals_over_time(pd.DataFrame(), "donchian", lookbak=3)


PROBE = """
import numpy as np
from shared.domain.arrays import indicator_kernels
from services.research.engine import outcome_kernels
from shared.domain.arrays import symbol_rows as own_bars
from services.research.engine import portfolio_kernels
from services.research.engine import ranking_kernels
from shared.domain.market.bars import Panel
from services.research.engine.simulate import SimulationSettings, simulate
from shared.strategies import donchian, ibs, registry, rsi2, turtle_soup
close = np.round(50 + 5 * np.sin(np.arange(900).reshape(3, 300) / 9), 4)
close.flags.writeable = False
days = np.arange(300).astype("datetime64[D]")
panel = Panel(("A", "B", "C"), days, close, close + 1, close - 1, close, close)
tables = []
for name in registry.available():
    strategy = registry.load(name)
    tables.append((name, strategy.signals(panel, strategy.Params())))
assert len(simulate(panel, tables, SimulationSettings()).trades) > 0
modules = (donchian, ibs, rsi2, turtle_soup, indicator_kernels, outcome_kernels, own_bars,
    portfolio_kernels, ranking_kernels)
found = [each for module in modules for each in vars(module).values()]
kernels = [each for each in found if hasattr(each, "py_func")]
assert sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels) >= 6
assert not [kernel for kernel in kernels if kernel.stats.cache_misses]
"""


@pytest.mark.slow
def test_nothing_is_compiled_at_first_use_once_the_cache_is_warm(tmp_path: Path) -> None:
    environment = {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        "PATH": "/usr/bin:/bin",
    }
    for command in (["-m", "services.research.engine.warm_up"], ["-c", PROBE]):
        done = subprocess.run(
            [sys.executable, *command],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
