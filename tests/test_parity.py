"""Backtest = replay = stack: the same fills, share for share and cent for cent."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.console.demo import DemoOptions, run_demo
from services.console.stack.client import StackClient
from services.console.stack.local_stack import EmbeddedStack
from services.research.backtest.run import backtest
from services.research.data.dataset import open_market
from services.research.data.inputs import Inputs, StrategyInputs
from shared.domain.risk.sizing import SizingMethod
from shared.runtime.config.settings import load_settings
from shared.schemas.streams import Stream
from tests.replay import Execution, executions, replay

SESSIONS = 250
CHANGES: dict[str, Any] = {
    "sim.timetable.sessions": SESSIONS,
    "sim.timetable.pace_seconds": 0.0,
    "sim.timetable.loop": False,
}


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> list[Execution]:
    return replay(tmp_path_factory.mktemp("replay"), CHANGES)


def test_a_replay_in_one_process_fills_what_it_filled_before(
    replayed: list[Execution], tmp_path: Path
) -> None:
    assert len(replayed) >= 10
    assert replay(tmp_path, CHANGES) == replayed


def test_a_backtest_with_the_gates_policy_fills_what_the_replay_fills(
    replayed: list[Execution],
) -> None:
    sessions = sample_sessions()
    signals_from = sessions[-SESSIONS - 1]
    steering = load_settings({}).steering
    inputs = Inputs(
        strategies=tuple(StrategyInputs(name=name) for name in steering.strategies.enabled),
        start=signals_from,
        sizing=SizingMethod.BUDGET,
        size=steering.sizing.per_order,
        policy=True,
    )
    assert sorted(policy_executions(inputs)) == sorted(as_round_trips(replayed))


def sample_sessions() -> list[dt.date]:
    panel = open_market(Inputs(strategies=(), bars="sample"), {}).panel
    return [session.item() for session in panel.sessions]


def policy_executions(inputs: Inputs) -> list[tuple[dt.date, str, str, int, str]]:
    run = backtest(inputs, {})
    trades, panel = run.result.trades, run.market.panel
    found = []
    for i, reason in enumerate(trades.reasons()):
        symbol, qty = panel.symbols[trades.row[i]], int(trades.qty[i])
        entered, left = (
            panel.sessions[column[i]].item() for column in (trades.entry_column, trades.exit_column)
        )
        found.append((entered, symbol, "buy", qty, f"{trades.entry_price[i]:.2f}"))
        if reason != "end_of_data":
            found.append((left, symbol, "sell", qty, f"{trades.exit_price[i]:.2f}"))
    return found


def as_round_trips(fills: list[Execution]) -> list[tuple[dt.date, str, str, int, str]]:
    return [
        (session, symbol, side, qty, f"{Decimal(price):.2f}")
        for session, symbol, side, _, qty, price in fills
    ]


@pytest.mark.slow
def test_the_real_stack_fills_what_the_replay_fills(
    replayed: list[Execution], tmp_path: Path
) -> None:
    found: list[Execution] = []

    def look(stack: EmbeddedStack) -> None:
        operations.append(StackClient(stack.address))

    operations: list[StackClient] = []

    def take(_: object) -> None:
        found[:] = executions(
            h.message for h in operations[0].after(Stream.EXECUTIONS, count=100_000)
        )

    run_demo(
        DemoOptions(sessions=SESSIONS, keep=tmp_path / "kept"),
        on_start=look,
        on_step=lambda _: None,
        on_progress=take,
    )
    assert found == replayed
