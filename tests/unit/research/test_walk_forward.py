"""Walk-forward: windows, choosing without a look at the test, stitching, resuming, honesty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, strategies as st

from services.research.engine.performance import sharpe, total_return
from services.research.engine.simulate import simulate, window_between
from services.research.strategy_check.selection import select_strategies, signals_of
from services.research.walk_forward import files as walk_forward_files
from services.research.walk_forward.folds import folds
from services.research.walk_forward.grids import Grid
from services.research.walk_forward.plan import score_tasks
from services.research.walk_forward.tasks import Score
from services.research.walk_forward.trials import NO_LOSS
from services.research.walk_forward.walk_forward import best
from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS
from tests.unit.research.walks import market, planned, walked


@given(
    sessions=st.integers(30, 400),
    train=st.integers(2, 29),
    test=st.integers(1, 90),
    anchored=st.booleans(),
)
def test_each_session_after_the_first_training_is_tested_exactly_once(
    sessions: int, train: int, test: int, anchored: bool
) -> None:
    made = folds(7, 7 + sessions - 1, train=train, test=test, anchored=anchored)
    tested = [column for fold in made for column in range(fold.test_first, fold.test_last + 1)]
    assert tested == list(range(7 + train, 7 + sessions))
    assert all(fold.train_last == fold.test_first - 1 for fold in made)
    assert all(fold.train_first == (7 if anchored else fold.test_first - train) for fold in made)


def test_ten_years_make_thirty_six_windows() -> None:
    made = folds(0, 2514, train=252, test=63, anchored=False)
    assert len(made) == 36
    assert made[-1].test_last - made[-1].test_first + 1 == 58


def test_training_that_leaves_nothing_to_test_is_refused() -> None:
    with pytest.raises(UserError, match="leave nothing to test"):
        folds(0, 251, train=252, test=63, anchored=False)


def test_a_grid_of_a_million_points_is_made_point_by_point() -> None:
    grid = Grid(base={"z": 1}, values={"a": tuple(range(1000)), "b": tuple(range(1000))})
    assert grid.size == 1_000_000
    assert grid.parameters(0) == {"z": 1, "a": 0, "b": 0}
    assert grid.point(1) == {"a": 0, "b": 1}
    assert grid.point(999_999) == {"a": 999, "b": 999}


def test_every_point_of_a_grid_is_scored_once() -> None:
    many = {"lookback": tuple(range(5, 25)), "stop_mult": (1.0, 1.5, 2.0)}
    made = planned(grids={"donchian": many})
    tasks = score_tasks(made, made.searches[0])
    assert [place for task in tasks for place in range(task.begin, task.end)] == list(range(60))


def test_a_grid_with_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="lookback"):
        planned(grids={"donchian": {"lookbak": (5, 10)}})


def test_a_grid_with_a_value_out_of_range_is_refused() -> None:
    with pytest.raises(UserError, match="lookback"):
        planned(grids={"donchian": {"lookback": (5, 0)}})


@pytest.mark.parametrize("values", [(), (5, 5)])
def test_a_grid_needs_different_values(values: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="different values"):
        planned(grids={"donchian": {"lookback": values}})


def test_bars_of_the_test_window_do_not_change_what_training_chooses(tmp_path: Path) -> None:
    there = market()
    fold = planned(there).folds[2]
    after = {name: getattr(there.panel, name).copy() for name in FIELDS}
    for values in after.values():
        values[:, fold.test_first :] = values[:, fold.test_first :][:, ::-1] * 1.5
    other = replace(there, panel=replace(there.panel, **after), digest="other bars")
    one, two = walked(tmp_path / "one", there)[0], walked(tmp_path / "two", other)[0]
    told = [[(split.points[0], split.trained) for split in each.splits[:3]] for each in (one, two)]
    assert told[0] == told[1]
    assert one.splits[2].tested.equity != two.splits[2].tested.equity


def test_only_trades_of_the_test_window_count_and_none_outlives_it(tmp_path: Path) -> None:
    for split in walked(tmp_path)[0].splits:
        trades, fold = split.result.trades, split.fold
        assert len(trades)
        assert trades.entry_column.min() >= fold.test_first
        assert trades.exit_column.max() <= fold.test_last


def test_the_first_open_of_a_test_window_fills_the_signals_of_the_close_before(
    tmp_path: Path,
) -> None:
    walks = walked(tmp_path)[0]
    entries = [
        split.result.trades.entry_column.min() == split.fold.test_first for split in walks.splits
    ]
    assert any(entries)


def test_a_split_is_the_plain_simulation_of_its_window(tmp_path: Path) -> None:
    there = market()
    for split in walked(tmp_path, there)[0].splits:
        table = signals_of(there.panel, select_strategies(split.inputs)[0])
        fold = split.fold
        window = window_between(
            there.panel, fold.test_first, fold.test_last, signals_from=fold.test_first - 1
        )
        plain = simulate(there.panel, [("donchian", table)], split.inputs.settings, window)
        assert plain.equity.tolist() == split.result.equity.tolist()
        assert plain.trades.pnl.tolist() == split.result.trades.pnl.tolist()


def test_the_chosen_set_is_the_best_of_the_plain_simulations_in_training(tmp_path: Path) -> None:
    there = market()
    walks = walked(tmp_path, there)[0]
    split, grid = walks.splits[1], walks.account.searches[0].grid
    fold, ratios = split.fold, []
    for point in range(grid.size):
        inputs = msgspec.structs.replace(
            split.inputs,
            strategies=(
                msgspec.structs.replace(
                    split.inputs.strategies[0], parameters=grid.parameters(point)
                ),
            ),
        )
        table = signals_of(there.panel, select_strategies(inputs)[0])
        window = window_between(
            there.panel, fold.train_first, fold.train_last, signals_from=fold.train_first - 1
        )
        equity = simulate(there.panel, [("donchian", table)], inputs.settings, window).equity
        ratios.append(sharpe(equity / np.concatenate([[100_000.0], equity[:-1]]) - 1))
    assert [score.objective[1] for score in walks.scores[0]] == pytest.approx(ratios, abs=1e-12)
    assert split.points[0] == int(np.argmax(np.array(ratios, float)))


def test_stitching_compounds_the_windows_returns(tmp_path: Path) -> None:
    walks = walked(tmp_path)[0]
    grown = np.prod([1 + split.tested.metrics.total_return for split in walks.splits])
    assert walks.stitched.equity[-1] == pytest.approx(100_000 * grown)
    assert total_return(walks.returns) == pytest.approx(grown - 1)
    assert walks.stitched.sessions.size == 140
    assert len(walks.stitched.trades) == sum(len(split.result.trades) for split in walks.splits)


def score(*values: float | None) -> Score:
    return Score(values, 0.0, None)


def test_of_equals_the_first_is_best_and_what_cannot_be_judged_is_last() -> None:
    assert best([score(None), score(1.0), score(1.0)], 0) == 1
    assert best([score(None), score(-5.0)], 0) == 1
    assert best([score(None), score(None)], 0) == 0


@pytest.mark.parametrize("objective", ["profit_factor", "return_over_drawdown"])
def test_other_objectives_choose_by_what_they_say(tmp_path: Path, objective: str) -> None:
    walks = walked(tmp_path, objective=objective)[0]
    for place, split in enumerate(walks.splits):
        values = [each.objective[place] for each in walks.scores[0]]
        assert split.trained == max(value for value in values if value is not None)
        assert split.trained is not None
        assert split.trained <= NO_LOSS


def test_anchored_training_begins_at_the_beginning(tmp_path: Path) -> None:
    walks = walked(tmp_path, anchored=True)[0]
    assert {split.fold.train_first for split in walks.splits} == {0}


def test_more_slippage_never_makes_more(tmp_path: Path) -> None:
    made = walk_forward_files.assess_walks(planned(), walked(tmp_path))
    returns = [cost.total_return for cost in made.walks[0].robustness.costs]
    assert returns == sorted(returns, reverse=True)
    assert made.walks[0].robustness.costs[1].total_return == pytest.approx(
        made.walks[0].metrics.total_return
    )


def test_robustness_counts_trials_and_judges_them(tmp_path: Path) -> None:
    made = walk_forward_files.assess_walks(planned(), walked(tmp_path))
    found = made.walks[0].robustness
    assert found.trials == 4
    assert found.returns_judged == 4
    assert found.overfitting_probability is not None
    assert 0 <= found.overfitting_probability <= 1
    assert found.deflated_sharpe is not None
    assert found.band_return[0] <= found.band_return[1] <= found.band_return[2]
    assert len(found.drift["lookback"].values) == 7
    assert made.warnings[0].startswith("4 parameter sets were tried")


def test_a_small_walk_is_what_it_was(tmp_path: Path) -> None:
    walks = walked(tmp_path)[0]
    assert [split.points[0] for split in walks.splits] == [1, 1, 1, 1, 1, 2, 2]
    assert [len(split.result.trades) for split in walks.splits] == [2, 5, 4, 5, 3, 2, 1]
    pnl = [f"{split.result.trades.pnl.sum():.2f}" for split in walks.splits]
    assert pnl == ["-4.90", "-5.52", "-6.33", "-5.48", "-7.57", "-0.64", "-2.80"]
