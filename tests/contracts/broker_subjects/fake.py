"""The broker in memory that the executor's unit tests trade with."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from shared.runtime.clock import ManualClock
from tests.builders import NOON
from tests.contracts.broker_world import BrokerWorld
from tests.unit.executor.fake_broker import FakeBroker


def subject() -> Iterator[BrokerWorld]:
    broker = FakeBroker(ManualClock(NOON))
    broker.price["AAPL"] = Decimal(100)

    def stop() -> None:
        for name in [order.client_order_id for order in broker.open_orders().ours]:
            broker.fill(name, Decimal("89.95"))

    yield BrokerWorld(broker, lambda shares: broker.shares.update(AAPL=shares), stop)
