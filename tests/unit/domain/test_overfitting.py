"""Luck is recognised as luck, skill as skill, and every draw repeats."""

import numpy as np
import pytest

from services.research.engine.overfitting import (
    bootstrap_band,
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
    probability_of_overfitting,
    stationary_bootstrap,
)


def trials(seed: int, sessions: int = 800, many: int = 12) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.01, (sessions, many))


def sharpes(returns: np.ndarray) -> np.ndarray:
    ratios: np.ndarray = returns.mean(axis=0) / returns.std(axis=0, ddof=1)
    return ratios


def test_the_deflated_sharpe_ratio_of_the_published_example() -> None:
    """Sharpe 2.5, 1250 days, 100 trials of variance 1/2, skewness -3, kurtosis 10: 0.9004."""
    found = np.random.default_rng(1).normal(size=100)
    luck = expected_best_sharpe((found - found.mean()) / found.std(ddof=1) * np.sqrt(0.5 / 250))
    assert luck == pytest.approx(0.1132, abs=1e-4)
    assert probabilistic_sharpe(2.5 / np.sqrt(250), luck, 1250, -3, 10) == pytest.approx(
        0.9004, abs=2e-4
    )


def test_the_best_of_many_worthless_trials_deflates_and_true_skill_does_not() -> None:
    worthless = trials(7)
    ratios = sharpes(worthless)
    lucky = deflated_sharpe(worthless[:, ratios.argmax()], ratios)
    skilled = worthless[:, 0] + 0.002
    real = deflated_sharpe(skilled, sharpes(np.column_stack([worthless, skilled])))
    assert lucky is not None
    assert lucky < 0.8
    assert real is not None
    assert real > 0.95


def test_returns_without_movement_have_no_deflated_sharpe_ratio() -> None:
    assert deflated_sharpe(np.zeros(100), np.array([0.1, 0.2])) is None


def test_the_best_of_noise_is_overfit_half_of_the_time_and_the_best_of_skill_hardly_ever() -> None:
    noise = [probability_of_overfitting(trials(seed), blocks=8) for seed in range(20)]
    assert np.mean([each.probability for each in noise if each]) == pytest.approx(0.5, abs=0.12)
    skilled = trials(3)
    skilled[:, 4] += 0.003
    found = probability_of_overfitting(skilled)
    assert found is not None
    assert found.probability < 0.01
    assert found.splits == found.logits.size == 12_870


def test_overfitting_is_counted_as_on_paper() -> None:
    """Four blocks of two sessions, two trials: 6 splits, done by hand with the plain definition."""
    returns = trials(5, sessions=8, many=2)
    found = probability_of_overfitting(returns, blocks=4)
    below = 0
    for half in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        chosen = np.isin(np.arange(8) // 2, half)
        best = sharpes(returns[chosen]).argmax()
        below += int(sharpes(returns[~chosen])[best] < sharpes(returns[~chosen])[1 - best])
    assert found is not None
    assert found.probability == below / 6


def test_too_few_trials_or_sessions_give_no_probability() -> None:
    assert probability_of_overfitting(trials(1, many=1)) is None
    assert probability_of_overfitting(trials(1, sessions=20)) is None
    with pytest.raises(ValueError, match="halved"):
        probability_of_overfitting(trials(1), blocks=5)


def test_the_bootstrap_draws_runs_of_the_length_asked_for_and_repeats_itself() -> None:
    drawn = stationary_bootstrap(500, samples=200, mean_block=10, seed=3)
    assert drawn.shape == (200, 500)
    assert (drawn == stationary_bootstrap(500, samples=200, mean_block=10, seed=3)).all()
    follows = (drawn[:, 1:] == (drawn[:, :-1] + 1) % 500).mean()
    assert follows == pytest.approx(0.9, abs=0.01)
    assert np.bincount(drawn.ravel(), minlength=500).min() > 0


def test_the_band_holds_the_history_it_was_drawn_from() -> None:
    returns = np.random.default_rng(2).normal(0.0005, 0.01, 750)
    band = bootstrap_band(returns, samples=400)
    low, middle, high = band.sharpe
    assert low < returns.mean() / returns.std(ddof=1) * np.sqrt(252) < high
    assert low < middle < high
    assert band.total_return[0] < np.prod(1 + returns) - 1 < band.total_return[2]
    assert band.max_drawdown[0] < band.max_drawdown[2] <= 0
    assert band.equity.shape == (3, 750)
    assert (np.diff(band.equity, axis=0) >= 0).all()
    wide = bootstrap_band(returns, samples=400, level=0.99)
    assert wide.sharpe[0] < low < high < wide.sharpe[2]
