"""The guard names the cause of what it sees, and passes what is sound with its scope."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.research.data.inputs import Inputs, StrategyInputs
from services.research.strategy_check.guard import clocks_in, examine
from services.research.strategy_check.scope import cuts_at_signals, spread_symbols
from services.research.strategy_check.selection import select_strategies, signals_of
from tests.oracles.made_bars import cent_walks
from tests.unit.strategies.test_proof import SOUND

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
HOLDS = "    holds = panel.close > mean * 1.002\n"
PLANTED = {
    "future": (
        "    holds = holds & (np.roll(panel.close, -1, axis=1) > panel.close)\n",
        "looks ahead",
    ),
    "names": (
        "    holds &= np.array([not s.startswith('Q') for s in panel.symbols])[:, None]\n",
        "names",
    ),
    "dates": (
        "    holds &= (panel.sessions < np.datetime64('2030-01-01'))[None, :]\n",
        "dates",
    ),
    "outside": ("    open(FILE).close()\n", "outside"),
}


def written(folder: Path, line: str) -> Inputs:
    (folder / "facts.txt").write_text("1")
    code = SOUND.replace("memory = []", f"FILE = {str(folder / 'facts.txt')!r}")
    (folder / "planted.py").write_text(code.replace(HOLDS, HOLDS + line))
    return Inputs(strategies=(StrategyInputs(name="planted"),), folder=str(folder))


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_fault_is_named_by_its_cause(kind: str, tmp_path: Path) -> None:
    line, check = PLANTED[kind]
    inputs = written(tmp_path, line)
    selected = select_strategies(inputs)[0]
    verdict = examine(inputs, selected, cent_walks(5, symbols=4, bars=120), cuts=30)
    assert [finding.check for finding in verdict.findings][:1] == [check]


def test_a_sound_strategy_passes_with_its_scope(tmp_path: Path) -> None:
    inputs = written(tmp_path, "")
    selected = select_strategies(inputs)[0]
    verdict = examine(inputs, selected, cent_walks(5, symbols=4, bars=120), cuts=30)
    assert verdict.findings == ()
    assert verdict.scope.symbols == 4
    assert "4 symbols, " in str(verdict.scope)
    assert verdict.scope.signals > 0


def test_cuts_end_on_signals_and_symbols_span_the_alphabet(tmp_path: Path) -> None:
    inputs = written(tmp_path, "")
    panel = cent_walks(5, symbols=9, bars=120)
    few = spread_symbols(panel, 4)
    assert few.symbols[0] == min(panel.symbols)
    assert few.symbols[-1] == max(panel.symbols)
    table = signals_of(panel, select_strategies(inputs)[0])
    cuts = cuts_at_signals(table, 120, 30)
    assert cuts == sorted(set(cuts))
    assert sum(bars - 1 in table.column for bars in cuts) >= 15


def test_clocks_are_found_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s.py"
    file.write_text("import time, datetime\nx = time.time()\ny = datetime.datetime.now()\n")
    assert list(clocks_in(file)) == ["time.time() in line 2", "datetime.now() in line 3"]
