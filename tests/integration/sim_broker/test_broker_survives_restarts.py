"""What the broker has answered it still knows after a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import BrokerOrder, OrderSubmission, StopLoss, TakeProfit
from services.sim_broker.journal import EventJournal
from services.sim_broker.simulator import Simulator
from shared.domain.errors import UserError
from shared.schemas.values import OrderStatus, Stage
from tests.unit.sim_broker.bar_table import DAYS, BarTable, bar
from tests.unit.sim_broker.trader import CASH

ROOT = Path(__file__).resolve().parents[3]


def started(path: Path) -> Simulator:
    return Simulator(
        Exchange(BarTable({4: bar("100", "101", "89", "100")}), cash=CASH),
        journal=EventJournal(path),
    )


def traded(simulator: Simulator) -> BrokerOrder:
    """In with 6 shares, under an OCO, one session later."""
    simulator.advance(DAYS[1], Stage.OPEN, None)
    entry: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": Decimal(6),
        "time_in_force": "ioc",
        "type": "limit",
    }
    simulator.submit(
        OrderSubmission(**entry, side="buy", limit_price=Decimal("100.10"), client_order_id="k81-1")
    )
    protect = {**entry, "time_in_force": "gtc", "side": "sell", "order_class": "oco"}
    prices: dict[str, Any] = {
        "take_profit": TakeProfit(Decimal(120)),
        "stop_loss": StopLoss(Decimal(90)),
    }
    oco = simulator.submit(OrderSubmission(**protect, **prices))
    assert isinstance(oco, BrokerOrder)
    simulator.advance(DAYS[2], Stage.CLOSE, None)
    return oco


def test_a_restarted_broker_goes_on_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    before = started(path)
    oco = traded(before)
    after = started(path)
    assert after.exchange.book.everything() == before.exchange.book.everything()
    for simulator in (before, after):
        simulator.advance(DAYS[3], Stage.MARK, None)
    assert after.exchange.book.everything() == before.exchange.book.everything()
    assert after.exchange.book.orders[oco.leg_id].status is OrderStatus.FILLED


def test_a_line_cut_by_power_loss_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    traded(started(path))
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert started(path).exchange.book.account.stage is Stage.OPEN


def test_a_damaged_journal_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    traded(started(path))
    path.write_bytes(b"{}\n" + path.read_bytes())
    with pytest.raises(UserError, match="unreadable at line 1"):
        started(path)


def test_a_reset_begins_the_next_account_and_forgets_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    simulator = started(path)
    traded(simulator)
    simulator.reset(None)
    for each in (simulator, started(path)):
        book = each.exchange.book
        assert (book.account.number, book.account.cash, book.account.session) == (
            "SIM000002",
            CASH,
            None,
        )
        assert not book.orders
        assert not book.positions


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.integration.sim_broker.test_broker_survives_restarts import started, traded
print(traded(started(Path({path!r}))).id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_an_acknowledged_order_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    script = KILLED.format(root=str(ROOT), path=str(path))
    killed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.strip() in started(path).exchange.book.orders
