"""The executor's floor with the simulated broker over HTTP, which can let the world change."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

from services.executor.brokers.alpaca.announcements import Announcements
from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.brokers.protocol import Broker
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.exchange.order import BrokerOrder
from services.sim_broker.exchange.world_events import WorldEvent
from services.sim_broker.fault_injection.kinds import FaultKind
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.domain.trading.ids import is_ours
from shared.runtime.observability.health_server import Server
from shared.schemas.messages import CorporateActionsSeen, OrderApproved
from shared.schemas.values import Bar, Protection, Side, Stage
from tests.builders import SESSION
from tests.unit.executor.floor import Floor
from tests.unit.sim_broker.bar_table import DAYS, BarTable

PLAN = Protection(stop=Decimal(90), target=Decimal(120), time_stop_bars=5)


class SimFloor(Floor):
    """The market stands at 100 in SESSION; bars of the sessions after it by their number."""

    def __init__(
        self, folder: Path, bars: dict[int, Bar | None] | None = None, **changes: Any
    ) -> None:
        self.sim = Simulator(Exchange(BarTable(bars), cash=Decimal(100_000)))
        self.sim.advance(SESSION, Stage.OPEN, None)
        self._server = Server(create_app(self.sim, test=True), "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{self._server.port}"
        self._https = [DeadlineHttp(url, {}), DeadlineHttp(url, {})]
        super().__init__(folder, **{"replay": True, **changes})

    @property
    def traded_with(self) -> Broker:
        budget = RequestWindow(per_minute=180, reserved=30, clock=self.clock)
        return AlpacaBroker(
            self._https[0],
            budget=budget,
            clock=self.clock,
            announcements=Announcements(self._https[1]),
        )

    def close(self) -> None:
        for http in self._https:
            http.close()
        self._server.stop()

    def happen(self, *faults: FaultKind | WorldEvent) -> None:
        for fault in faults:
            assert self.sim.schedule(fault) is None

    def enter(self, symbol: str = "AAPL", **changes: Any) -> OrderApproved:
        values = {"limit_price": Decimal("100.10"), "protection": PLAN, **changes}
        return self.entered(symbol, **values)

    def next_session(self, stage: Stage = Stage.OPEN) -> dt.date:
        """A night: the broker moves to the next session, the executor opens it and compares."""
        following = DAYS[DAYS.index(self.state.session or SESSION) + 1]
        days = (following - (self.state.session or SESSION)).days
        self.sim.advance(following, Stage.START, None)
        self.hear(
            CorporateActionsSeen(
                session=following,
                since=self.state.session or SESSION,
                vendor="none",
                symbols=0,
                splits=(),
                renames=(),
                removals=(),
            )
        )
        self.run()
        self.sim.advance(following, stage, None)
        self.open_later(days=days)
        self.reconcile(stage)
        return following

    # --- the broker's truth -----------------------------------------------------------------------

    def shares(self, symbol: str = "AAPL") -> Decimal:
        return Decimal(self.sim.exchange.book.shares(symbol))

    def resting(self, symbol: str = "AAPL") -> list[BrokerOrder]:
        """Our working orders in a symbol, without the legs of an OCO."""
        book = self.sim.exchange.book
        return [each for each in book.open_orders(symbol) if is_ours(each.client_order_id)]

    def sold(self, symbol: str = "AAPL") -> Decimal:
        """Shares that orders of ours have sold."""
        book = self.sim.exchange.book
        ours = {each.id for each in book.orders.values() if is_ours(each.client_order_id)}
        return sum(
            (
                Decimal(each.filled_qty)
                for each in book.orders.values()
                if each.side is Side.SELL
                and each.symbol == symbol
                and (each.id in ours or each.parent_id in ours)
            ),
            Decimal(0),
        )

    def posts(self, client_order_id: str) -> int:
        book = self.sim.exchange.book
        return sum(each.client_order_id == client_order_id for each in book.orders.values())
