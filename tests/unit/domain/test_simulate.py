"""The micro cases of the trading day, and the rules on cash, rank, windows and memory maps."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.research.engine.outcome_kernels import find_outcomes
from services.research.engine.outcomes import dollars, last_close, outcomes, rank
from services.research.engine.portfolio_kernels import portfolio_pass
from services.research.engine.ranking_kernels import by_entry
from services.research.engine.simulate import (
    SimulationResult,
    SimulationSettings,
    SkipReason,
    run_portfolio,
    simulate,
    window_between,
)
from services.research.engine.warm_kernels import warm_kernels
from shared.domain.errors import UserError
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.domain.trading.fills import Costs

D = Decimal

FLAT = (100.0, 101.0, 99.0, 100.0)
ABSENT = (np.nan,) * 4
Bar = Sequence[float]


def panel_of(changes: Mapping[str, Mapping[int, Bar]], days: int = 12) -> Panel:
    """Flat bars for every symbol but on the days given."""
    symbols = tuple(changes)
    prices = np.array(
        [[changes[symbol].get(day, FLAT) for day in range(days)] for symbol in symbols]
    )
    sessions = np.datetime64("2020-01-01", "D") + np.arange(days)
    opening, high, low, close = (np.ascontiguousarray(prices[:, :, place]) for place in range(4))
    return Panel(symbols, sessions, opening, high, low, close, np.ones(close.shape))


def table_of(
    *signals: tuple[int, int],
    stop: float | Sequence[float] = 90.0,
    target: float = 120.0,
    side: int = 1,
    score: Sequence[float] | None = None,
    time_stop: int = 5,
    leave: np.ndarray | None = None,
) -> SignalTable:
    row, column = np.array(signals, np.int32).T if signals else np.zeros((2, 0), np.int32)
    many = len(signals)
    return SignalTable(
        row=row,
        column=column,
        side=np.full(many, side, np.int8),
        reference_price=np.full(many, 100.0),
        stop=np.broadcast_to(np.asarray(stop, np.float64), many).copy(),
        target=np.full(many, target),
        score=np.array(score) if score is not None else np.zeros(many),
        indicators={},
        time_stop_bars=time_stop,
        exit_long=leave,
        exit_short=leave,
        reason="a test",
    )


def traded(result: SimulationResult) -> list[tuple[int, int, float, int, float, str]]:
    """(qty, entry day, price, exit day, price, reason) of each trade."""
    t = result.trades
    columns = (t.qty, t.entry_column, t.entry_price, t.exit_column, t.exit_price, t.reasons())
    return [
        (int(q), int(e), float(ep), int(x), float(xp), str(why))
        for q, e, ep, x, xp, why in zip(*columns, strict=True)
    ]


def one(
    bars: Mapping[int, Bar], settings: SimulationSettings | None = None, **kwargs: Any
) -> SimulationResult:
    """One symbol with these unusual days, one signal on day 1."""
    table = table_of((0, 1), **kwargs)
    return simulate(panel_of({"A": bars}), [("s", table)], settings or SimulationSettings())


@pytest.mark.parametrize(
    ("bars", "leaves"),
    [
        ({}, (6, 99.95, "time_stop")),
        ({4: (100, 101, 89, 100)}, (4, 89.95, "stop")),
        ({4: (100, 121, 89, 100)}, (4, 89.95, "stop")),
        ({2: (100, 101, 89, 100)}, (2, 89.95, "stop")),
        ({4: (80, 101, 79, 100)}, (4, 79.96, "gapped_stop")),
        ({6: (100, 101, 89, 100)}, (6, 89.95, "stop")),
        ({4: (100, 121, 99, 100)}, (4, 120.0, "target")),
        ({4: (125.0049, 126, 99, 100)}, (4, 125.0, "target")),
        ({2: (100, 121, 99, 100)}, (2, 120.0, "target")),
        ({6: (100, 121, 99, 100)}, (6, 120.0, "target")),
        ({3: ABSENT, 4: ABSENT}, (8, 99.95, "time_stop")),
    ],
)
def test_six_shares_bought_at_100_05_on_day_2_leave_as_the_day_says(
    bars: Mapping[int, Bar], leaves: tuple[int, float, str]
) -> None:
    assert traded(one(bars)) == [(6, 2, 100.05, *leaves)]


@pytest.mark.parametrize(
    ("bars", "reason"),
    [
        ({2: (70, 101, 69, 100)}, SkipReason.INVALIDATED_AT_OPEN),
        ({2: (90, 101, 89, 100)}, SkipReason.INVALIDATED_AT_OPEN),
        ({2: (120, 121, 99, 100)}, SkipReason.INVALIDATED_AT_OPEN),
        ({2: ABSENT}, SkipReason.NO_BAR),
    ],
)
def test_an_entry_that_cannot_be_is_no_trade_and_says_why(
    bars: Mapping[int, Bar], reason: SkipReason
) -> None:
    result = one(bars)
    assert len(result.trades) == 0
    assert {why: n for why, n in result.skipped.items() if n} == {reason: 1}
    assert (result.equity == 100_000).all()


def test_a_signal_exit_waits_for_the_next_bar_of_its_symbol() -> None:
    leave = np.zeros((1, 12), np.bool_)
    leave[0, [0, 1, 3]] = True  # what holds before the entry bar's close decides nothing
    assert traded(one({}, leave=leave)) == [(6, 2, 100.05, 4, 99.95, "signal_exit")]
    assert traded(one({4: ABSENT, 5: ABSENT}, leave=leave)) == [
        (6, 2, 100.05, 6, 99.95, "signal_exit")
    ]
    gapped = one({4: (80, 81, 79, 80)}, leave=leave)
    assert traded(gapped) == [(6, 2, 100.05, 4, 79.96, "gapped_stop")]


def test_five_sessions_without_a_bar_end_the_position_at_its_last_close_without_slippage() -> None:
    result = one({3: (100, 101, 99, 100.4), **dict.fromkeys(range(4, 12), ABSENT)}, time_stop=20)
    assert traded(result) == [(6, 2, 100.05, 8, 100.4, "ended")]
    assert result.gross[7] == pytest.approx(602.4)
    assert result.gross[8] == 0
    four = one(dict.fromkeys(range(3, 7), ABSENT), time_stop=20)
    assert traded(four) == [(6, 2, 100.05, 11, 99.95, "end_of_data")]


def test_what_is_open_at_the_end_is_closed_at_its_own_last_close_less_slippage() -> None:
    result = one({9: (100, 101, 99, 99.5), 10: ABSENT, 11: ABSENT}, time_stop=20)
    assert traded(result) == [(6, 2, 100.05, 11, 99.45, "end_of_data")]
    assert result.trades.bars_held.tolist() == [8]


def test_the_open_freed_by_a_gapped_stop_or_a_signal_exit_can_be_entered_again() -> None:
    panel = panel_of({"A": {4: (80, 81, 79, 80), 5: (80, 81, 79, 80)}})
    table = table_of((0, 1), (0, 3), stop=[90.0, 70.0], time_stop=2)
    result = simulate(panel, [("s", table)], SimulationSettings())
    assert traded(result)[1] == (8, 4, 80.04, 5, 79.96, "time_stop")
    leave = np.zeros((1, 12), np.bool_)
    leave[0, 3] = True
    again = simulate(
        panel_of({"A": {}}), [("s", table_of((0, 1), (0, 3), leave=leave))], SimulationSettings()
    )
    assert [trade[1] for trade in traded(again)] == [2, 4]


def test_a_target_the_open_has_gapped_over_still_holds_the_symbol_at_that_open() -> None:
    panel = panel_of({"A": {4: (125, 126, 124, 125)}})
    first, second = table_of((0, 1)), table_of((0, 3), target=200.0)
    result = simulate(panel, [("s", first), ("t", second)], SimulationSettings())
    assert traded(result) == [(6, 2, 100.05, 4, 125.0, "target")]
    assert result.skipped[SkipReason.SYMBOL_HELD] == 1


def test_signals_are_served_by_strategy_then_score_then_symbol_while_the_cash_lasts() -> None:
    panel = panel_of({"C": {}, "B": {}, "A": {}, "D": {}})
    settings = SimulationSettings(cash=D(300), sizing=Sizing(SizingMethod.BUDGET, D("100.10")))
    first, second = table_of((3, 1)), table_of((0, 1), (1, 1), (2, 1), score=[0.5, 0.2, 0.5])
    result = simulate(panel, [("s", first), ("t", second)], settings)
    assert [panel.symbols[row] for row in result.trades.row] == ["D", "A"]
    assert result.skipped[SkipReason.INSUFFICIENT_CASH] == 2
    assert result.cash.min() >= 0


def test_the_first_strategy_in_rank_gets_a_symbol_two_want() -> None:
    panel = panel_of({"A": {}})
    result = simulate(
        panel,
        [("s", table_of((0, 1), score=[0])), ("t", table_of((0, 1), score=[9]))],
        SimulationSettings(),
    )
    assert result.trades.strategy.tolist() == [0]
    assert result.skipped[SkipReason.SYMBOL_HELD] == 1


def test_shorts_need_leave_and_mirror_a_long() -> None:
    short: dict[str, Any] = {"stop": 110.0, "target": 80.0, "side": -1}
    assert one({}, **short).skipped[SkipReason.SHORTS_DISABLED] == 1
    allowed = SimulationSettings(allow_shorts=True)
    assert traded(one({}, allowed, **short)) == [(7, 2, 99.95, 6, 100.05, "time_stop")]
    assert traded(one({4: (115, 116, 99, 100)}, allowed, **short)) == [
        (7, 2, 99.95, 4, 115.06, "gapped_stop")
    ]
    target = one({4: (75.001, 76, 74, 75)}, allowed, **short)
    assert traded(target) == [(7, 2, 99.95, 4, 75.01, "target")]
    assert target.trades.pnl.tolist() == [pytest.approx(7 * (99.95 - 75.01))]
    assert target.equity[3] == pytest.approx(100_000 + 7 * (99.95 - 100))
    assert target.cash[3] == pytest.approx(100_000 - 7 * 99.95)


def test_costs_are_slippage_rounding_and_fees_and_pnl_is_after_them() -> None:
    result = one({}, SimulationSettings(costs=Costs(commissions=True)))
    assert result.trades.fees.tolist() == [0.02]  # 599.70 at 0.0000278 and 6 at 0.000166
    assert result.trades.costs.tolist() == [pytest.approx(6 * 0.05 + 6 * 0.05 + 0.02)]
    assert result.trades.pnl.tolist() == [pytest.approx(-0.62)]
    assert result.equity[-1] == 99_999.38


def test_a_size_of_zero_is_a_refusal() -> None:
    poor = SimulationSettings(sizing=Sizing(SizingMethod.BUDGET, D(75)))
    assert one({}, poor).skipped[SkipReason.SIZE_ZERO] == 1


def test_risk_sizing_looks_at_the_last_mark_not_at_the_coming_close() -> None:
    risk = SimulationSettings(sizing=Sizing(SizingMethod.RISK_FRACTION, D("0.001")))
    assert traded(one({2: (100, 119, 99, 118)}, risk))[0][0] == 9  # 100 / 10.05


def test_a_window_starts_flat_counts_its_own_signals_and_closes_at_its_last_close() -> None:
    panel = panel_of({"A": {7: (100, 103, 99, 102.5)}})
    ranked = rank(panel, [outcomes(panel, "s", table_of((0, 1), (0, 4), (0, 7), time_stop=9))])
    settings = SimulationSettings()
    window = run_portfolio(panel, ("s",), ranked, settings, window_between(panel, 4, 7))
    assert traded(window) == [(6, 5, 100.05, 7, 102.44, "end_of_data")]
    assert window.trades.bars_held.tolist() == [3]
    assert window.sessions.tolist() == panel.sessions[4:8].tolist()
    assert window.equity.tolist() == [100_000.0, 99_999.7, 99_999.7, 100_014.34]
    carried = run_portfolio(
        panel, ("s",), ranked, settings, window_between(panel, 5, 7, signals_from=4)
    )
    assert traded(carried) == traded(window)
    assert (
        len(run_portfolio(panel, ("s",), ranked, settings, window_between(panel, 5, 7)).trades) == 0
    )


def test_a_window_outside_the_bars_is_refused_with_a_sentence() -> None:
    with pytest.raises(UserError, match="do not lie within the 12"):
        window_between(panel_of({"A": {}}), 3, 12)


def test_settings_finer_than_the_arithmetic_are_refused_with_a_sentence() -> None:
    with pytest.raises(UserError, match="slippage in basis points is given to at most 3 decimals"):
        one({}, SimulationSettings(costs=Costs(slippage_bps=D("0.12345"))))


def test_nothing_to_do_is_a_flat_line() -> None:
    nothing = simulate(panel_of({"A": {}}), [("s", table_of())], SimulationSettings())
    assert len(nothing.trades) == 0
    assert (nothing.equity == 100_000).all()
    assert len(simulate(panel_of({"A": {}}), [], SimulationSettings()).trades) == 0


def test_outcomes_can_be_read_as_decimals_and_marked_at_any_close() -> None:
    panel = panel_of({"A": {6: (100, 101, 99, 100.1234), 7: ABSENT}})
    found = outcomes(panel, "s", table_of((0, 1))).found
    assert dollars(found.exit_price[0]) == D("100.1234")
    assert last_close(panel, 0, 7) == (6, D("100.1234"))


def test_memory_maps_and_views_use_the_form_that_warming_compiled(tmp_path: Path) -> None:
    warm_kernels()
    panel = panel_of({"A": {}, "B": {}})
    np.save(tmp_path / "open.npy", panel.open)
    mapped = np.load(tmp_path / "open.npy", mmap_mode="r")
    readonly = Panel(
        panel.symbols, panel.sessions, mapped, panel.high, panel.low, panel.close, panel.volume
    )
    leave = np.zeros((2, 12), np.bool_)
    for each in (panel, readonly, readonly.through(panel.sessions[9])):
        simulate(
            each,
            [("s", table_of((0, 1), (1, 1), leave=leave))],
            SimulationSettings(allow_shorts=True),
        )
    kernels: list[Any] = [find_outcomes, by_entry, portfolio_pass]
    assert [len(kernel.signatures) for kernel in kernels] == [1, 1, 1]
