"""Metrics agree with empyrical where it has them, and with paper where it does not."""

import dataclasses

import empyrical
import numpy as np
import pytest

from services.research.engine import performance
from services.research.engine.simulate import SimulationResult, Trades


def random_returns(seed: int, sessions: int = 600) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0004, 0.01, sessions)


@pytest.mark.parametrize("seed", range(5))
def test_return_metrics_agree_with_empyrical(seed: int) -> None:
    returns = random_returns(seed)
    assert performance.total_return(returns) == pytest.approx(empyrical.cum_returns_final(returns))
    assert performance.cagr(returns) == pytest.approx(empyrical.annual_return(returns))
    assert performance.sharpe(returns) == pytest.approx(empyrical.sharpe_ratio(returns))
    assert performance.sortino(returns) == pytest.approx(empyrical.sortino_ratio(returns))
    assert performance.volatility(returns) == pytest.approx(empyrical.annual_volatility(returns))
    assert performance.drawdown(returns).min() == pytest.approx(empyrical.max_drawdown(returns))
    assert performance.calmar(returns) == pytest.approx(empyrical.calmar_ratio(returns))


def test_returns_begin_with_the_first_session_against_the_money_put_in() -> None:
    assert performance.daily_returns(np.array([110.0, 99.0]), 100.0) == pytest.approx([0.1, -0.1])


def test_drawdown_episodes_are_counted_from_high_to_recovery_and_the_last_may_be_open() -> None:
    equity = np.array([100.0, 90, 95, 101, 100, 99, 98, 102, 101])
    falls = performance.drawdown(performance.daily_returns(equity, 100.0))
    average, longest = performance.drawdown_episodes(falls)
    assert longest == 3
    assert average == pytest.approx(-(0.1 + 3 / 101 + 1 / 102) / 3)


def test_a_first_session_below_the_starting_money_is_a_drawdown() -> None:
    assert performance.drawdown(np.array([-0.1, 0.0])).tolist() == pytest.approx([-0.1, -0.1])


def test_what_cannot_be_said_is_none() -> None:
    flat = np.zeros(10)
    assert performance.sharpe(flat) is None
    assert performance.sharpe(np.array([0.1])) is None
    assert performance.sortino(np.full(10, 0.01)) is None
    assert performance.calmar(flat) is None
    assert performance.return_over_drawdown(flat) is None
    assert performance.drawdown_episodes(flat) == (0.0, 0)
    assert performance.profit_factor(np.array([3.0])) is None
    assert performance.profit_factor(np.zeros(0)) is None
    assert performance.cagr(np.array([-1.0, 0.0])) == -1.0


def result_of(pnl: list[float], equity: list[float], gross: list[float]) -> SimulationResult:
    many = len(pnl)
    whole, money = np.ones(many, np.int64), np.array(pnl)
    trades = Trades(
        strategy=whole.astype(np.int16),
        signal=whole,
        row=whole.astype(np.int32),
        side=whole.astype(np.int8),
        qty=whole * 2,
        entry_column=whole.astype(np.int32),
        entry_price=np.full(many, 10.0),
        exit_column=whole,
        exit_price=10.0 + money / 2,
        exit_kind=whole,
        bars_held=np.arange(1, many + 1),
        pnl=money,
        costs=np.full(many, 0.5),
        fees=np.zeros(many),
    )
    curve = np.array(equity)
    sessions = np.datetime64("2020-01-01", "D") + np.arange(curve.size)
    return SimulationResult(("s",), sessions, 100.0, trades, curve, curve, np.array(gross), {})


def test_trade_metrics_by_hand() -> None:
    metrics = performance.measure(result_of([4, -1, -1, 0], [101.0, 102.0], [50.5, 0.0]))
    assert metrics.trades == 4
    assert metrics.win_rate == 0.25
    assert metrics.profit_factor == 2
    assert metrics.expectancy == 0.5
    assert metrics.average_win == 4
    assert metrics.average_loss == -1
    assert metrics.average_hold == 2.5
    assert metrics.exposure == 0.25
    assert metrics.costs == 2
    assert metrics.turnover == pytest.approx((80 + 82) / 2 / 101.5 * 252 / 2)
    assert (metrics.start_equity, metrics.end_equity, metrics.sessions) == (100, 102, 2)


def test_no_trades_give_metrics_without_numbers_that_are_not() -> None:
    metrics = dataclasses.asdict(performance.measure(result_of([], [100.0, 100.0], [0.0, 0.0])))
    assert metrics["trades"] == 0
    assert metrics["win_rate"] is None
    assert all(np.isfinite(value) for value in metrics.values() if value is not None)
