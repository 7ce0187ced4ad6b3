"""The portfolio pass with the gate.

To the cent what the kernels do where its limits are wide, and the limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from services.research.backtest.gated_run import GatedResult, gate_rules, run_with_gate
from services.research.engine.outcomes import outcomes, rank
from services.research.engine.simulate import (
    SimulationResult,
    SimulationSettings,
    run_portfolio,
    window_between,
)
from shared.domain.market.bars import Panel
from shared.domain.market.signal_table import SignalTable
from shared.domain.risk.sizing import Sizing, SizingMethod
from shared.domain.trading.fills import Costs
from shared.runtime.config.settings import DEFAULT_FILE, convert, read_document, resolve
from shared.schemas.values import Mode
from shared.strategies import registry
from tests.oracles.made_bars import cent_walks, holed

pytestmark = pytest.mark.slow

FLAT = (100.0, 101.0, 99.0, 100.0)
ABSENT = (np.nan,) * 4
BUDGET = Sizing(SizingMethod.BUDGET, Decimal(1000))
WIDE: dict[str, dict[str, Any]] = {
    "notional_per_order": {"maximum": "1000000"},
    "daily_notional": {"maximum": "1000000000"},
    "gross_exposure": {"maximum": "1000000000"},
    "max_positions": {"maximum": 100000},
    "price_band": {"minimum": "0.01", "maximum": "1000000"},
    "price_collar": {"quote_fraction": "1", "close_fraction": "1"},
    "invalid_protection": {"maximum_stop_fraction": "1", "maximum_target_fraction": "1000"},
    "drawdown": {"maximum_fraction": "1", "daily_loss_fraction": "1"},
    "short_selling": {"allowed": True},
}
Tables = list[tuple[str, SignalTable]]


def panel_of(changes: Mapping[str, Mapping[int, Sequence[float]]], days: int = 12) -> Panel:
    """Flat bars for every symbol but on the days given."""
    prices = np.array(
        [[unusual.get(day, FLAT) for day in range(days)] for unusual in changes.values()]
    )
    sessions = np.datetime64("2020-01-01", "D") + np.arange(days)
    opening, high, low, close = (np.ascontiguousarray(prices[:, :, place]) for place in range(4))
    return Panel(tuple(changes), sessions, opening, high, low, close, np.ones(close.shape))


def table_of(
    *signals: tuple[int, int], score: Sequence[float] = (), leave: Any = None, bars: int = 5
) -> SignalTable:
    """Longs at 100 with a stop at 90 and a target at 120: (row, column) each."""
    row, column = np.array(signals, np.int32).T
    full = np.ones(row.size)
    scores = np.array(score or full * 0)
    side = np.ones(row.size, np.int8)
    return SignalTable(
        row,
        column,
        side,
        full * 100,
        full * 90,
        full * 120,
        scores,
        {},
        bars,
        leave,
        leave,
        "a test",
    )


def judged(
    panel: Panel,
    tables: Tables,
    settings: SimulationSettings | None = None,
    **rules: dict[str, Any],
) -> GatedResult:
    """Wide limits but for the rules given."""
    settings = settings or SimulationSettings(sizing=BUDGET)
    document = {**read_document(DEFAULT_FILE), "sim": {}, "rules": {**WIDE, **rules}}
    limits = gate_rules(
        convert(resolve(document, Mode.SIM)).rules, allow_shorts=settings.allow_shorts
    )
    found = [outcomes(panel, name, table) for name, table in tables]
    window = window_between(panel, 0, panel.sessions.size - 1)
    return run_with_gate(panel, tables, found, rank(panel, found), settings, limits, window)


def by_kernels(panel: Panel, tables: Tables, settings: SimulationSettings) -> SimulationResult:
    ranked = rank(panel, [outcomes(panel, name, table) for name, table in tables])
    return run_portfolio(panel, tuple(name for name, _ in tables), ranked, settings)


def traded(result: SimulationResult) -> list[tuple[int, int, float, int, float, str]]:
    """(qty, entry day, price, exit day, price, reason) of each trade."""
    t = result.trades
    columns = (
        t.qty.tolist(),
        t.entry_column.tolist(),
        t.entry_price.tolist(),
        t.exit_column.tolist(),
    )
    return list(zip(*columns, t.exit_price.tolist(), map(str, t.reasons()), strict=True))


@pytest.mark.parametrize("fees", [False, True])
@pytest.mark.parametrize("names", [("donchian", "turtle_soup"), ("rsi2", "ibs")])
def test_under_wide_limits_it_is_the_kernels_pass_to_the_cent(
    names: tuple[str, ...], fees: bool
) -> None:
    panel = holed(cent_walks(3, symbols=8, bars=900))
    short = {
        "donchian": {"lookback": 10},
        "turtle_soup": {"sma_period": 30},
        "rsi2": {"sma_period": 30},
    }
    short["ibs"] = {"sma_period": 30}
    loaded = [(name, registry.load(name)) for name in names]
    shorts = {"allow_shorts": False} if names[0] == "rsi2" else {}
    tables = [
        (name, module.signals(panel, registry.params_from(module, {**short[name], **shorts})))
        for name, module in loaded
    ]
    settings = SimulationSettings(
        sizing=BUDGET, cash=Decimal(1_000_000), costs=Costs(commissions=fees)
    )
    result, kernels = judged(panel, tables, settings).result, by_kernels(panel, tables, settings)
    assert len(result.trades) > 50
    for name in (
        "strategy",
        "signal",
        "row",
        "side",
        "qty",
        "entry_column",
        "exit_column",
        "exit_kind",
        "bars_held",
    ):
        np.testing.assert_array_equal(
            getattr(result.trades, name), getattr(kernels.trades, name), name
        )
    for name in ("entry_price", "exit_price", "pnl", "costs", "fees"):
        np.testing.assert_allclose(
            getattr(result.trades, name), getattr(kernels.trades, name), atol=1e-9
        )
    np.testing.assert_allclose(result.equity, kernels.equity, atol=1e-6)
    np.testing.assert_allclose(result.cash, kernels.cash, atol=1e-6)
    np.testing.assert_allclose(result.gross, kernels.gross, atol=1e-6)


def test_a_short_is_worth_what_the_kernels_say() -> None:
    panel = cent_walks(5, symbols=4, bars=300)
    module = registry.load("rsi2")
    tables = [("rsi2", module.signals(panel, registry.params_from(module, {"sma_period": 30})))]
    settings = SimulationSettings(sizing=BUDGET, cash=Decimal(1_000_000), allow_shorts=True)
    result, kernels = judged(panel, tables, settings).result, by_kernels(panel, tables, settings)
    assert (result.trades.side < 0).sum() > 10
    assert traded(result) == traded(kernels)
    np.testing.assert_allclose(result.equity, kernels.equity, atol=1e-6)
    np.testing.assert_allclose(result.cash, kernels.cash, atol=1e-6)


def test_the_micro_case_by_budget() -> None:
    result = judged(panel_of({"A": {}}), [("s", table_of((0, 1)))]).result
    assert traded(result) == [(9, 2, 100.05, 6, 99.95, "time_stop")]
    assert result.equity[-1] == pytest.approx(99_999.10)


def test_the_budget_of_a_session_is_spent_in_rank_order_and_begins_anew_the_next() -> None:
    panel = panel_of({"A": {}, "B": {}, "C": {}})
    table = table_of((0, 1), (1, 1), (2, 1), (1, 3), score=(1.0, 3.0, 2.0, 0.0))
    passed = judged(panel, [("s", table)], daily_notional={"maximum": "1802"})
    assert [panel.symbols[row] for row in passed.result.trades.row] == ["B", "C"]
    assert passed.result.skipped == {"exceeds_daily_budget": 1, "symbol_held": 1}


def test_price_improvement_is_not_budget_again() -> None:
    """Two orders of 9 at 100.10 reserve 1801.80.

    Their fills at 100.05 leave 0.90 that nobody may spend.
    """
    panel = panel_of({"A": {}, "B": {}})
    passed = judged(panel, [("s", table_of((0, 1), (1, 1)))], daily_notional={"maximum": "1801.79"})
    assert len(passed.result.trades) == 1


def test_no_more_positions_than_allowed_and_an_exit_at_the_open_makes_room() -> None:
    flags = np.zeros((2, 12), np.bool_)
    flags[0, 3] = True
    panel = panel_of({"A": {}, "B": {}})
    table = table_of((0, 1), (1, 1), (1, 3), leave=flags)
    passed = judged(panel, [("s", table)], max_positions={"maximum": 1})
    assert traded(passed.result) == [
        (9, 2, 100.05, 4, 99.95, "signal_exit"),
        (9, 4, 100.05, 8, 99.95, "time_stop"),
    ]
    assert passed.result.skipped == {"max_positions": 1}


def test_a_gapped_stop_makes_room_at_its_open_too() -> None:
    panel = panel_of({"A": {4: (80, 81, 79, 80)}, "B": {}})
    passed = judged(panel, [("s", table_of((0, 1), (1, 3)))], max_positions={"maximum": 1})
    assert [trade[5] for trade in traded(passed.result)] == ["gapped_stop", "time_stop"]
    assert traded(passed.result)[0][3:5] == (4, 79.96)


def test_a_stop_in_the_bar_comes_too_late_for_that_days_entries() -> None:
    panel = panel_of({"A": {4: (100, 101, 89, 95)}, "B": {}})
    passed = judged(panel, [("s", table_of((0, 1), (1, 3)))], max_positions={"maximum": 1})
    assert len(passed.result.trades) == 1
    assert passed.result.skipped == {"max_positions": 1}


def test_the_first_strategy_gets_a_symbol_that_two_want() -> None:
    passed = judged(
        panel_of({"A": {}}),
        [("first", table_of((0, 1))), ("second", table_of((0, 1), score=(9.0,)))],
    )
    assert passed.result.trades.strategy.tolist() == [0]
    assert passed.result.skipped == {"symbol_held": 1}


def test_a_symbol_without_a_bar_is_not_quoted() -> None:
    passed = judged(panel_of({"A": {2: ABSENT}}), [("s", table_of((0, 1)))])
    assert passed.result.skipped == {"no_quote": 1}


@pytest.mark.parametrize(
    ("opening", "rules", "reason"),
    [
        (89.0, {}, "invalidated_at_open"),
        (111.0, {"price_collar": {"close_fraction": "0.10"}}, "collar"),
        (100.0, {"price_band": {"maximum": "100"}}, "price_out_of_bounds"),
        (100.0, {"notional_per_order": {"maximum": "900"}}, "exceeds_per_order_budget"),
        (100.0, {"gross_exposure": {"maximum": "900"}}, "max_exposure"),
    ],
)
def test_each_limit_denies_with_its_reason(
    opening: float, rules: dict[str, dict[str, Any]], reason: str
) -> None:
    panel = panel_of({"A": {2: (opening, 115, 88, 100)}})
    assert judged(panel, [("s", table_of((0, 1)))], None, **rules).result.skipped == {reason: 1}


def test_less_than_a_share_is_denied_and_cash_is_never_overdrawn() -> None:
    panel = panel_of({"A": {}})
    tiny = SimulationSettings(sizing=Sizing(SizingMethod.BUDGET, Decimal(100)))
    assert judged(panel, [("s", table_of((0, 1)))], tiny).result.skipped == {"size_zero": 1}
    poor = SimulationSettings(sizing=BUDGET, cash=Decimal(900))
    assert judged(panel, [("s", table_of((0, 1)))], poor).result.skipped == {"insufficient_cash": 1}


def test_after_too_deep_a_fall_nothing_is_opened_any_more() -> None:
    panel = panel_of({"A": {3: (50, 51, 49, 50)}, "B": {}})
    passed = judged(
        panel, [("s", table_of((0, 1), (1, 4)))], drawdown={"maximum_fraction": "0.004"}
    )
    assert len(passed.result.trades) == 1
    assert passed.result.skipped == {"reducing": 1}
    assert passed.reduced.startswith("from 2020-01-04 on: equity 99549.28")


def test_a_position_without_bars_is_closed_by_adjustment() -> None:
    passed = judged(panel_of({"A": dict.fromkeys(range(3, 12), ABSENT)}), [("s", table_of((0, 1)))])
    assert traded(passed.result) == [(9, 2, 100.05, 7, 100.0, "ended")]


def test_no_fill_is_beyond_its_limit() -> None:
    settings = SimulationSettings(sizing=BUDGET, costs=Costs(slippage_bps=Decimal(50)))
    result = judged(panel_of({"A": {}}), [("s", table_of((0, 1)))], settings).result
    assert traded(result) == [(9, 2, 100.10, 6, 99.89, "time_stop")]


def test_a_shipped_strategys_stop_below_zero_on_wild_cheap_bars_is_denied_as_in_the_gate() -> None:
    """An average range of two thirds of the price: two of it below the close there is no price."""
    days = 120
    calm = np.full(days, 6.0)
    close = calm.copy()
    close[-3:] = 9.0
    low, high = np.full(days, 2.0), np.full(days, 8.5)
    high[-3:] = 9.5
    sessions = np.datetime64("2020-01-01", "D") + np.arange(days)
    fields = (close, high, low, close, np.ones(days))
    panel = Panel(("WILD",), sessions, *(field.reshape(1, days) for field in fields))
    donchian = registry.load("donchian")
    table = donchian.signals(panel, donchian.Params())
    assert table.size > 0
    assert (table.stop < 0).all()
    settings = SimulationSettings(sizing=BUDGET)
    result = judged(panel, [("donchian", table)], settings).result
    assert (len(result.trades), set(result.skipped)) == (0, {"invalid_protection"})
