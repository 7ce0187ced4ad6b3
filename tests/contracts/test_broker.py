"""What every broker promises: the fake and, through the Alpaca adapter, the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestBudget
from services.executor.brokers.protocol import Broker, Fate, Kind, OrderRequest
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.fault_injection import Fault, FaultKind
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.domain.trading.ids import CLIENT_ORDER_PREFIX
from shared.runtime.clock import ManualClock, SystemClock
from shared.runtime.observability.health_server import Server
from shared.schemas.values import OrderStatus, Side, Stage
from tests.builders import NOON
from tests.unit.executor.fake_broker import FakeBroker
from tests.unit.sim_broker.bar_table import DAYS, BarTable, bar


@dataclass
class World:
    """One implementation; `partial` caps the next fill in AAPL, `stop` hits what rests."""

    broker: Broker
    partial: Callable[[int], None]
    stop: Callable[[], None]


def fake() -> Iterator[World]:
    broker = FakeBroker(ManualClock(NOON))
    broker.price["AAPL"] = Decimal(100)

    def stop() -> None:
        for name in [order.client_order_id for order in broker.open_orders().ours]:
            broker.fill(name, Decimal("89.95"))

    yield World(broker, lambda shares: broker.shares.update(AAPL=shares), stop)


def simulated() -> Iterator[World]:
    """Flat bars at 100; day 2 falls to 89."""
    simulator = Simulator(
        Exchange(BarTable({2: bar("100", "101", "89", "100")}), cash=Decimal(100_000))
    )
    simulator.advance(DAYS[0], Stage.OPEN, None)
    server = Server(create_app(simulator), "127.0.0.1", 0).start()
    http, clock = DeadlineHttp(f"http://127.0.0.1:{server.port}", {}), SystemClock()
    broker = AlpacaBroker(
        http, budget=RequestBudget(per_minute=9999, reserved=30, clock=clock), clock=clock
    )

    def stop() -> None:
        for stage in (Stage.OPEN, Stage.BAR):
            simulator.advance(DAYS[1], stage, None)

    partial = Fault(kind=FaultKind.PARTIAL, symbol="AAPL")
    yield World(broker, lambda shares: simulator.faults.add(replace(partial, shares=shares)), stop)
    http.close()
    server.stop()


@pytest.fixture(params=[fake, simulated], ids=["fake", "simulated"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from request.param()


def order(number: int = 1, **changes: object) -> OrderRequest:
    values: dict[str, object] = {
        "client_order_id": f"{CLIENT_ORDER_PREFIX}{number}",
        "symbol": "AAPL",
        "side": Side.BUY,
        "qty": 6,
        "kind": Kind.IMMEDIATE,
        "limit_price": Decimal("100.10"),
    }
    return OrderRequest(**{**values, **changes})  # type: ignore[arg-type]


def protection(kind: Kind = Kind.STOP_AND_TARGET) -> OrderRequest:
    target = Decimal(120) if kind is Kind.STOP_AND_TARGET else None
    return order(2, side=Side.SELL, kind=kind, stop_price=Decimal(90), limit_price=target)


def test_an_immediate_order_is_filled_at_its_limit_or_better(world: World) -> None:
    assert world.broker.submit(order()).fate is Fate.ACCEPTED
    view = world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}1")
    assert view is not None
    assert (view.status, view.filled_qty) == (OrderStatus.FILLED, 6)
    assert view.average_price is not None
    assert view.average_price <= Decimal("100.10")
    assert world.broker.held("AAPL") == 6


def test_an_immediate_order_that_is_not_reached_ends_canceled_and_unfilled(world: World) -> None:
    answer = world.broker.submit(order(limit_price=Decimal("99.00")))
    assert answer.order is not None
    view = world.broker.order(answer.order.broker_order_id)
    assert view is not None
    assert (view.status, view.filled_qty) == (OrderStatus.CANCELED, 0)


@pytest.mark.parametrize("shares", [1, 5])
def test_an_immediate_order_filled_in_part_ends_canceled_with_its_fill(
    world: World, shares: int
) -> None:
    world.partial(shares)
    world.broker.submit(order())
    view = world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}1")
    assert view is not None
    assert (view.status, view.filled_qty) == (OrderStatus.CANCELED, shares)


def test_the_same_id_twice_is_one_order(world: World) -> None:
    assert world.broker.submit(order()).fate is Fate.ACCEPTED
    assert world.broker.submit(order()).fate is Fate.EXISTS
    assert len(world.broker.orders_since(None).ours) == 1
    assert world.broker.held("AAPL") == 6


@pytest.mark.parametrize("kind", [Kind.STOP, Kind.STOP_AND_TARGET])
def test_a_protection_rests_until_it_is_canceled(world: World, kind: Kind) -> None:
    world.broker.submit(order())
    placed = world.broker.submit(protection(kind))
    assert placed.order is not None
    assert [each.client_order_id for each in world.broker.open_orders().ours] == [
        f"{CLIENT_ORDER_PREFIX}2"
    ]
    world.broker.cancel(placed.order.broker_order_id)
    view = world.broker.order(placed.order.broker_order_id)
    assert view is not None
    assert (view.status, view.filled_qty) == (OrderStatus.CANCELED, 0)
    assert world.broker.open_orders().ours == ()


@pytest.mark.parametrize("kind", [Kind.STOP, Kind.STOP_AND_TARGET])
def test_a_protection_that_is_hit_shows_its_fill_and_the_position_is_gone(
    world: World, kind: Kind
) -> None:
    world.broker.submit(order())
    placed = world.broker.submit(protection(kind))
    world.stop()
    assert placed.order is not None
    view = world.broker.order(placed.order.broker_order_id)
    assert view is not None
    assert (view.status, view.filled_qty, view.average_price) == (
        OrderStatus.FILLED,
        6,
        Decimal("89.95"),
    )
    assert world.broker.positions() == ()


def test_canceling_what_has_ended_is_no_error(world: World) -> None:
    answer = world.broker.submit(order())
    assert answer.order is not None
    world.broker.cancel(answer.order.broker_order_id)
    view = world.broker.order(answer.order.broker_order_id)
    assert view is not None
    assert view.status is OrderStatus.FILLED


def test_what_is_not_there_is_none(world: World) -> None:
    assert world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}9") is None
    assert world.broker.order("5b1f2c6e-0000-4000-8000-000000000000") is None
    assert world.broker.held("AAPL") == 0


def test_orders_since_are_those_submitted_later(world: World) -> None:
    world.broker.submit(order())
    first = world.broker.orders_since(None).ours[0]
    assert world.broker.orders_since(first.submitted_at).ours == ()


def test_the_account_is_worth_its_cash_and_its_shares(world: World) -> None:
    before = world.broker.account()
    world.broker.submit(order())
    after, position = world.broker.account(), world.broker.positions()[0]
    assert after.cash == before.cash - 6 * position.average_price
    assert after.equity == after.cash + 6 * (position.mark or 0)
    assert not after.blocked


def test_the_clock_is_aware(world: World) -> None:
    assert world.broker.clock().at.utcoffset() is not None
