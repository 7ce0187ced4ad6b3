"""What the broker has answered it still knows after it was killed; its requests and probes are there to look at."""

from __future__ import annotations

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import Order, OrderRequest, StopLoss, TakeProfit
from services.sim_broker.journal import Journal
from services.sim_broker.simulator import Desk
from shared.domain.errors import UserError
from shared.schemas.values import OrderStatus, Stage
from tests.unit.sim_broker.bar_table import DAYS, BarTable, bar
from tests.unit.sim_broker.broker_server import Wire
from tests.unit.sim_broker.trader import CASH

ROOT = Path(__file__).resolve().parents[3]


def started(path: Path) -> Desk:
    return Desk(
        Exchange(BarTable({4: bar("100", "101", "89", "100")}), cash=CASH), journal=Journal(path)
    )


def traded(desk: Desk) -> Order:
    """In with 6 shares, under an OCO, one session later."""
    desk.advance(DAYS[1], Stage.OPEN, None)
    entry: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": Decimal(6),
        "time_in_force": "ioc",
        "type": "limit",
    }
    desk.submit(
        OrderRequest(**entry, side="buy", limit_price=Decimal("100.10"), client_order_id="k81-1")
    )
    protect = {**entry, "time_in_force": "gtc", "side": "sell", "order_class": "oco"}
    prices: dict[str, Any] = {
        "take_profit": TakeProfit(Decimal(120)),
        "stop_loss": StopLoss(Decimal(90)),
    }
    oco = desk.submit(OrderRequest(**protect, **prices))
    assert isinstance(oco, Order)
    desk.advance(DAYS[2], Stage.CLOSE, None)
    return oco


def test_a_restarted_broker_goes_on_where_it_stood(tmp_path: Path) -> None:
    path = tmp_path / "broker.jsonl"
    before = started(path)
    oco = traded(before)
    after = started(path)
    assert after.exchange.book.everything() == before.exchange.book.everything()
    for desk in (before, after):
        desk.advance(DAYS[3], Stage.MARK, None)
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
    desk = started(path)
    traded(desk)
    desk.reset(None)
    for each in (desk, started(path)):
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


def test_every_request_is_kept_with_its_time_and_status(broker: Wire) -> None:
    broker.advance(2, "open")
    broker.buy("k81-kept")
    broker("GET", "/v2/orders/fake_id")
    seen = broker("GET", "/sim/requests").json()
    assert [(each["method"], each["path"], each["status"]) for each in seen] == [
        ("POST", "/v2/orders", 200),
        ("GET", "/v2/orders/fake_id", 422),
    ]
    assert "k81-kept" in seen[0]["body"]
    assert seen[0]["at"] <= seen[1]["at"]
    assert len(broker("GET", "/sim/requests", after=str(seen[0]["n"])).json()) == 1


def test_state_tells_where_the_simulation_stands(broker: Wire) -> None:
    assert broker("GET", "/sim/state").json()["stage"] is None
    broker.advance(2, "open")
    broker.buy()
    broker.protect()
    state = broker("GET", "/sim/state").json()
    assert (state["session"], state["stage"], state["cash"]) == ("2024-01-03", "open", "99399.7")
    assert (state["equity"], state["orders"], state["open_orders"], state["fills"]) == (
        "99999.7",
        3,
        2,
        1,
    )
    assert state["positions"] == {"AAPL": 6}
    assert state["sessions"] == {"first": "2024-01-02", "last": "2024-01-18", "count": 12}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"session": "2024-01-02", "stage": "mark"}, 409),
        ({"session": "2024-01-06", "stage": "open"}, 422),
        ({"session": "2024-01-04", "stage": "noon"}, 422),
        ({}, 422),
    ],
)
def test_a_wrong_advance_is_refused_and_changes_nothing(
    broker: Wire, body: dict[str, str], status: int
) -> None:
    broker.advance(2, "open")
    assert broker("POST", "/sim/advance", body).status_code == status
    assert broker("GET", "/sim/state").json()["stage"] == "open"


def test_reset_over_http_counts_accounts_on(broker: Wire) -> None:
    broker.advance(3, "open")
    assert broker("POST", "/sim/reset").json()["account_number"] == "SIM000002"
    assert (
        broker("POST", "/sim/reset", {"account_number": "SIM-X7"}).json()["account_number"]
        == "SIM-X7"
    )
    broker.advance(2, "open")


def test_suspending_the_account_stops_orders_until_lifted(broker: Wire) -> None:
    broker.advance(2, "open")
    assert (
        broker("PATCH", "/v2/account/configurations", {"suspend_trade": True}).json()[
            "suspend_trade"
        ]
        is True
    )
    assert broker.buy().status_code == 403
    assert broker("GET", "/v2/account").json()["trade_suspended_by_user"] is True
    broker("PATCH", "/v2/account/configurations", {"suspend_trade": False})
    assert broker.buy().status_code == 200


def test_probes_and_metrics_answer_without_keys(broker: Wire) -> None:
    broker.advance(2, "open")
    broker.buy()
    broker.http.headers.clear()
    assert broker("GET", "/liveness").json() == {"alive": True}
    assert broker("GET", "/readiness").json() == {"ready": True, "reasons": []}
    families = {
        each.name: each for each in text_string_to_metric_families(broker("GET", "/metrics").text)
    }
    assert families["kobe_sim_fills"].samples[0].value == 1
    assert families["kobe_sim_requests"].samples[0].labels["status"] == "200"
