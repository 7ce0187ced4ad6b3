"""The Alpaca adapter, connected to the simulated broker over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.fault_injection.kinds import PartialFill
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.runtime.clock import SystemClock
from shared.runtime.observability.health_server import Server
from shared.schemas.values import Stage
from tests.contracts.broker_world import BrokerWorld
from tests.unit.sim_broker.bar_table import DAYS, BarTable, bar


def subject() -> Iterator[BrokerWorld]:
    """Flat bars at 100; day 2 falls to 89."""
    simulator = Simulator(
        Exchange(BarTable({2: bar("100", "101", "89", "100")}), cash=Decimal(100_000))
    )
    simulator.advance(DAYS[0], Stage.OPEN, None)
    server = Server(create_app(simulator), "127.0.0.1", 0).start()
    http, clock = DeadlineHttp(f"http://127.0.0.1:{server.port}", {}), SystemClock()
    budget = RequestWindow(per_minute=9999, reserved=30, clock=clock)
    broker = AlpacaBroker(http, budget=budget, clock=clock)

    def stop() -> None:
        for stage in (Stage.OPEN, Stage.BAR):
            simulator.advance(DAYS[1], stage, None)

    def partial(shares: int) -> None:
        simulator.faults.add(PartialFill(symbol="AAPL", shares=Decimal(shares)))

    yield BrokerWorld(broker, partial, stop)
    http.close()
    server.stop()
