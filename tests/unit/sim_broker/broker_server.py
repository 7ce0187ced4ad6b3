"""A simulated broker behind real HTTP on a port of its own, and a wire to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.runtime.clock import SystemClock
from shared.runtime.observability.health_server import Health, Server
from shared.runtime.observability.metrics import MetricRegistry
from tests.unit.sim_broker.bar_table import DAYS, BarTable, bar
from tests.unit.sim_broker.trader import CASH

KEY, SECRET = "PKSIM", "s3cret"


@dataclass
class Wire:
    """Says one thing to the broker and hears the answer."""

    url: str
    simulator: Simulator
    http: requests.Session

    def __call__(self, method: str, path: str, body: Any = None, **query: str) -> requests.Response:
        return self.http.request(method, self.url + path, json=body, params=query, timeout=10)

    def advance(self, day: int, stage: str) -> None:
        reply = self("POST", "/sim/advance", {"session": str(DAYS[day - 1]), "stage": stage})
        assert reply.status_code == 200, reply.text

    def buy(self, client_order_id: str = "k81-1", qty: int = 6) -> requests.Response:
        body = {
            "symbol": "AAPL",
            "qty": str(qty),
            "side": "buy",
            "type": "limit",
            "time_in_force": "ioc",
            "limit_price": "100.10",
            "client_order_id": client_order_id,
        }
        return self("POST", "/v2/orders", body)

    def protect(self, stop: str = "90", qty: int = 6) -> requests.Response:
        body = {
            "symbol": "AAPL",
            "qty": qty,
            "side": "sell",
            "type": "limit",
            "time_in_force": "gtc",
            "order_class": "oco",
            "take_profit": {"limit_price": "120"},
            "stop_loss": {"stop_price": stop},
        }
        return self("POST", "/v2/orders", body)


@pytest.fixture
def broker() -> Iterator[Wire]:
    """On flat bars but for day 4, whose low of 89 touches a stop of 90."""
    simulator = Simulator(Exchange(BarTable({4: bar("100", "101", "89", "100")}), cash=CASH))
    health, metrics = Health(SystemClock()), MetricRegistry("sim-broker")
    health.mark_ready("starting")
    app = create_app(
        simulator, key_id=KEY, secret=SECRET, test=True, health=health, metrics=metrics
    )
    server = Server(app, "127.0.0.1", 0).start()
    with requests.Session() as http:
        http.headers.update({"APCA-API-KEY-ID": KEY, "APCA-API-SECRET-KEY": SECRET})
        yield Wire(f"http://127.0.0.1:{server.port}", simulator, http)
    server.stop()
