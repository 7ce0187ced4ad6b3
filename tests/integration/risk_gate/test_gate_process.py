import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from services.risk_gate.__main__ import gate_settings
from shared.domain.errors import UserError
from shared.domain.risk.sizing import SizingMethod
from shared.runtime.config.settings import (
    DEFAULT_FILE,
    Settings,
    load_settings,
    read_document,
    with_changes,
)
from shared.schemas.envelope import canonical

ROOT = Path(__file__).resolve().parents[3]


def load_changed(tmp_path: Path) -> Callable[..., Settings]:
    def load(mode: str = "sim", **changes: object) -> Settings:
        file = tmp_path / "kobe.json"
        file.write_bytes(canonical(with_changes(read_document(DEFAULT_FILE), changes)))
        return load_settings({"KOBE_CONFIG": str(file), "KOBE_MODE": mode})

    return load


@pytest.mark.parametrize(
    ("mode", "per_order", "replay"), [("sim", "1000", True), ("paper", "75", False)]
)
def test_the_numbers_that_steer_reach_the_gate(mode: str, per_order: str, replay: bool) -> None:
    settings = gate_settings(load_settings({"KOBE_MODE": mode}))
    assert (settings.sizing.method, str(settings.sizing.value)) == (SizingMethod.BUDGET, per_order)
    assert settings.replay is replay
    assert settings.rank == ("donchian", "turtle_soup")


def test_a_misspelt_rule_or_a_sizing_of_nothing_stops_the_start(tmp_path: Path) -> None:
    load = load_changed(tmp_path)
    with pytest.raises(UserError, match="did you mean 'spread'"):
        gate_settings(load(**{"rules.spreat.maximum_fraction": "1"}))
    with pytest.raises(UserError, match=r"per_order is 0; it must be above 0 .*\(at sizing\)"):
        gate_settings(load(**{"sim.sizing.per_order": "0"}))


def test_the_gate_imports_no_arrays() -> None:
    code = (
        "import sys, services.risk_gate.__main__ as gate\n"
        "from shared.runtime.config.settings import load_settings\n"
        "gate.gate_settings(load_settings({}))\n"
        "print(sorted({'numpy', 'pandas', 'numba', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
