"""The proof finds what is wrong with strategies that are planted wrong, and says at which bar."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.research.strategy_check.proof import Proof, prove
from shared.strategies import registry
from tests.oracles.made_bars import cent_walks

SOUND = """
from dataclasses import dataclass

import numpy as np

from shared.domain.arrays import indicators
from shared.domain.market.signal_table import signal_table

NAME = "planted"
memory = []


@dataclass(frozen=True)
class Params:
    window: int = 10


def warmup(params):
    return params.window


def signals(panel, params):
    mean = indicators.previous(indicators.sma(panel.close, params.window), panel.close)
    holds = panel.close > mean * 1.002
    row, column = np.nonzero(holds)
    close = panel.close[row, column]
    return signal_table(
        row=row.astype(np.int32), column=column.astype(np.int32),
        side=np.ones(row.size, np.int8), close=close,
        stop=close - 1.0, target=close + 2.0, score=close - mean[row, column],
        indicators={"mean": mean[row, column]},
        time_stop_bars=5, reason="above the mean",
    )
"""
MEAN = "    mean = indicators.previous(indicators.sma(panel.close, params.window), panel.close)\n"
PLANTED: dict[str, tuple[str, str, str, str]] = {
    "tomorrow's close": (
        MEAN,
        MEAN + "    mean[:, :-1] = np.minimum(mean[:, :-1], panel.close[:, 1:])\n",
        "looks ahead",
        "",
    ),
    "the whole history's mean": (
        MEAN,
        MEAN + "    mean = mean + 0 * np.nanmean(panel.close) + np.nanstd(panel.close) / 10\n",
        "looks ahead",
        "",
    ),
    "a stop that knows the future": (
        "stop=close - 1.0",
        "stop=close - 0.01 * np.nanmax(panel.high)",
        "looks ahead",
        "stop",
    ),
    "the best of the others": (
        "panel.close > mean * 1.002",
        "(panel.close == np.nanmax(panel.close, axis=0)) & (panel.close > mean)",
        "other symbols",
        "S",
    ),
    "a window over holes": (
        MEAN,
        (
            "    mean, w = np.full(panel.shape, np.nan), params.window\n"
            "    for t in range(w, panel.shape[1]):\n"
            "        mean[:, t] = panel.close[:, t - w : t].mean(axis=1)\n"
        ),
        "holes",
        "",
    ),
    "writes into the bars": (
        MEAN,
        MEAN + "    panel.close[0, 3] += 1.0\n",
        "input untouched",
        "close 2",
    ),
    "raises": (
        MEAN,
        MEAN + "    if panel.shape[1] < 25:\n        raise KeyError('no such bar')\n",
        "raises",
        "",
    ),
    "raises always": (MEAN, MEAN + "    1 / 0\n", "raises", ""),
    "returns nothing": (MEAN, "    return None\n" + MEAN, "shape", "NoneType"),
    "a column too short": ("score=close - mean[row, column]", "score=close[1:]", "shape", "score"),
    "a side of zero": (
        "np.ones(row.size, np.int8)",
        "np.zeros(row.size, np.int8)",
        "shape",
        "side",
    ),
    "a stop above the price": ("stop=close - 1.0", "stop=close + 1.0", "shape", "losing side"),
    "unsorted": (
        "    close = panel",
        "    row, column = row[::-1], column[::-1]\n    close = panel",
        "shape",
        "sorted",
    ),
    "a score that is not a number": (
        "score=close - mean[row, column]",
        "score=close * np.nan",
        "shape",
        "numbers",
    ),
    "columns as floats": (
        "column.astype(np.int32)",
        "column.astype(np.float64)",
        "shape",
        "column",
    ),
    "declares too little": ("return params.window", "return 3", "warm-up", "needs more"),
    "declares too much": ("return params.window", "return 50", "warm-up", "signals earlier"),
    "warm-up raises": ("return params.window", "return params.windows", "raises", "warmup"),
    "remembers": (
        MEAN,
        MEAN + "    memory.append(1)\n    mean = mean - 0.01 * len(memory)\n",
        "repeatable",
        "differently",
    ),
}


def proof_of(folder: Path, source: str) -> Proof:
    (folder / "planted.py").write_text(source)
    strategy = registry.load("planted", folder)
    return prove(strategy, strategy.Params(), cent_walks(4, symbols=5, bars=120))


def test_a_sound_strategy_of_a_user_is_found_sound(tmp_path: Path) -> None:
    proof = proof_of(tmp_path, SOUND)
    assert proof.findings == ()
    assert proof.signals > 50
    assert proof.cuts == 120


@pytest.mark.parametrize("name", PLANTED)
def test_the_proof_finds(name: str, tmp_path: Path) -> None:
    before, after, check, said = PLANTED[name]
    assert before in SOUND
    findings = proof_of(tmp_path, SOUND.replace(before, after)).findings
    assert check in {finding.check for finding in findings}, [str(finding) for finding in findings]
    assert any(said in str(finding) for finding in findings if finding.check == check)


def test_a_finding_names_symbol_session_and_both_values(tmp_path: Path) -> None:
    before, after, *_ = PLANTED["a stop that knows the future"]
    finding = proof_of(tmp_path, SOUND.replace(before, after)).findings[0]
    assert finding.symbol.startswith("S")
    assert finding.session.startswith("2020-")
    assert "stop" in finding.expected
    assert finding.expected != finding.found
    assert finding.session in str(finding)


def test_an_error_is_found_with_its_line_in_the_users_file(tmp_path: Path) -> None:
    before, after, *_ = PLANTED["raises always"]
    source = SOUND.replace(before, after)
    line = source[: source.index("1 / 0")].count("\n") + 1
    finding = proof_of(tmp_path, source).findings[0]
    assert "ZeroDivisionError" in finding.sentence
    assert f"(line {line})" in finding.sentence
