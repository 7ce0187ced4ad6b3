"""Luck is counted whole, and what the market did is told from what the strategy did."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from services.console.cli.app import run
from services.research.backtest.benchmark import Benchmark
from services.research.backtest.market_view import market_view
from services.research.backtest.monte_carlo import by_session
from services.research.backtest.trial_ledger import Trial, TrialLedger, luck, trial
from services.research.engine.market_model import fit
from services.research.engine.overfitting import deflated_sharpe
from services.research.engine.simulate import SimulationSettings, simulate
from tests.oracles.made_bars import cent_walks
from tests.unit.research.test_what_cannot_be_traded import flat_panel, signal
from tests.unit.research.walks import csv_bars


def one(number: int, sharpe: float = 0.01, run: str = "run") -> Trial:
    return trial(
        kind="backtest",
        run=run,
        strategies={"s": {"lookback": number}},
        terms={},
        first="2020-01-02",
        last="2021-01-04",
        sharpe=sharpe,
    )


def test_a_trial_counts_once_however_often_it_is_made(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "d" * 64)
    ledger.add([one(1), one(2)])
    again = ledger.add([one(2), one(3, run="other")])
    assert [each.strategies["s"]["lookback"] for each in again] == [1, 2, 3]
    assert len(ledger.read()) == 3
    assert TrialLedger(tmp_path, "e" * 64).read() == []


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "d" * 64)
    ledger.add([one(1)])
    with ledger.file.open("ab") as file:
        file.write(b'{"key": "torn')
    assert len(ledger.read()) == 1


def test_more_trials_deflate_more() -> None:
    draws = np.random.default_rng(7)
    returns = draws.normal(0.0006, 0.01, 1000)
    sharpes = draws.normal(0, 0.03, 200).tolist()
    few = luck([one(i, s) for i, s in enumerate(sharpes[:5])], {"a": returns})
    many = luck([one(i, s) for i, s in enumerate(sharpes)], {"a": returns})
    assert many.trials == 200
    assert few.deflated_sharpe["a"] is not None
    assert many.deflated_sharpe["a"] is not None
    assert many.deflated_sharpe["a"] < few.deflated_sharpe["a"]
    assert many.deflated_sharpe["a"] == deflated_sharpe(returns, np.array(sharpes))
    assert "200 trials ever made on these bars" in many.sentences[0]


def test_alpha_and_beta_are_those_of_ordinary_least_squares() -> None:
    draws = np.random.default_rng(3)
    market = draws.normal(0.0004, 0.01, 1500)
    ours = 0.0002 + 0.3 * market + draws.normal(0, 0.002, 1500)
    model = fit(ours, market)
    assert model is not None
    slope, level = np.polyfit(market, ours, 1)
    assert model.beta == pytest.approx(slope)
    assert model.alpha == pytest.approx(level * 252)
    design = np.column_stack([np.ones_like(market), market])
    errors = ours - design @ [level, slope]
    covariance = np.linalg.inv(design.T @ design) * (errors @ errors) / (1500 - 2)
    assert model.alpha_t == pytest.approx(level / np.sqrt(covariance[0, 0]))


def test_what_never_moved_has_no_model() -> None:
    assert fit(np.zeros(100), np.random.default_rng(1).normal(size=100)) is None
    assert fit(np.ones(10), np.ones(10)) is None


def test_the_head_says_what_idle_cash_would_have_earned() -> None:
    result = simulate(flat_panel(), [("s", signal(1))], SimulationSettings())
    held = Benchmark("SPY buy and hold", np.full(8, 100_000.0))
    view = market_view(result, held, Decimal("0.0504"))
    assert view.cash_earned == pytest.approx(float(result.cash.sum()) * 0.0504 / 252)
    assert view.cash_share > 0.99
    assert view.matched_return == 0.0
    assert "nothing to compare" in view.sentence
    assert market_view(result, None, Decimal(0)).benchmark is None


def test_trades_that_close_together_are_drawn_together() -> None:
    exits = np.array([5, 3, 5, 9, 3])
    assert by_session(exits, np.array([1.0, 2.0, 3.0, 4.0, 5.0])).tolist() == [7.0, 4.0, 4.0]
    assert by_session(np.array([], int), np.array([])).size == 0


def test_every_backtest_and_grid_point_is_in_the_ledger_and_can_be_exported(
    tmp_path: Path, state_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = str(csv_bars(tmp_path / "bars.csv", cent_walks(3, symbols=4, bars=200)))
    options = ["--strategy", "donchian", "--bars", bars, "--set", "donchian.min_price=1"]
    for lookback in ("5", "5", "10"):
        arguments = ["backtest", *options, "--set", f"donchian.lookback={lookback}", "--json"]
        assert run(arguments) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["luck"]["trials"] == 2
    walk = ["walk-forward", *options, "--train", "60", "--test", "40", "--no-report", "--json"]
    assert run([*walk, "--out", str(tmp_path / "wf")]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["luck"]["trials"] == 2 + 12
    out = tmp_path / "trials.csv"
    assert run(["trials", "--bars", bars, "--export", str(out), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["trials"]) == 14
    assert len(list(csv.DictReader(out.read_text().splitlines()))) == 14
    assert len(list((state_folder / "trials").glob("*.jsonl"))) == 1


def test_a_walk_forwards_account_can_be_resampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = str(csv_bars(tmp_path / "bars.csv", cent_walks(3, symbols=6, bars=260)))
    out = str(tmp_path / "wf")
    walk = ["walk-forward", "--strategy", "donchian,turtle_soup", "--bars", bars, "--out", out]
    walk += ["--set", "donchian.min_price=1", "--set", "turtle_soup.sma_period=20"]
    walk += ["--train", "60", "--test", "40", "--no-report"]
    assert run(walk) == 0
    capsys.readouterr()
    assert run(["montecarlo", out, "--samples", "50", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["strategies"] == ["portfolio"]
    assert run(["montecarlo", out, "--account", "nosuch"]) == 1
    assert "has no account 'nosuch', but portfolio" in capsys.readouterr().err
