"""What every broker promises, asked of each that the registry finds and of the fake.

A new broker joins by a file of its name in `broker_subjects/` whose `subject` yields a BrokerWorld.
"""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.brokers.protocol import Kind, OrderRequest, SubmitResult
from services.executor.brokers.registry import broker_names, connect_broker
from shared.domain.errors import UserError
from shared.domain.trading.ids import CLIENT_ORDER_PREFIX
from shared.schemas.values import OrderStatus, Side
from tests.contracts.broker_world import BrokerWorld
from tests.unit.executor.broker_places import place

SUBJECTS = sorted(path.stem for path in (Path(__file__).parent / "broker_subjects").glob("*.py"))


@pytest.fixture(params=SUBJECTS)
def world(request: pytest.FixtureRequest) -> Iterator[BrokerWorld]:
    module = importlib.import_module(f"tests.contracts.broker_subjects.{request.param}")
    yield from module.subject()


def test_every_broker_that_can_be_configured_is_held_to_this_contract() -> None:
    assert "alpaca" in broker_names()
    missing = set(broker_names()) - set(SUBJECTS)
    assert not missing, f"add tests/contracts/broker_subjects/<name>.py for {sorted(missing)}"


def test_an_unknown_broker_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"'alpacca'.*'alpaca'"):
        connect_broker("alpacca", place())


def held(world: BrokerWorld) -> Decimal:
    view = world.broker.position("AAPL")
    return view.qty if view else Decimal(0)


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


def test_an_immediate_order_is_filled_at_its_limit_or_better(world: BrokerWorld) -> None:
    assert world.broker.submit(order()).result is SubmitResult.ACCEPTED
    view = world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}1")
    assert view is not None
    assert (view.status, int(view.filled_qty)) == (OrderStatus.FILLED, 6)
    assert view.average_price is not None
    assert view.average_price <= Decimal("100.10")
    assert held(world) == 6


def test_an_immediate_order_that_is_not_reached_ends_canceled_and_unfilled(
    world: BrokerWorld,
) -> None:
    answer = world.broker.submit(order(limit_price=Decimal("99.00")))
    assert answer.order is not None
    view = world.broker.order(answer.order.broker_order_id)
    assert view is not None
    assert (view.status, int(view.filled_qty)) == (OrderStatus.CANCELED, 0)


@pytest.mark.parametrize("shares", [1, 5])
def test_an_immediate_order_filled_in_part_ends_canceled_with_its_fill(
    world: BrokerWorld, shares: int
) -> None:
    world.partial(shares)
    world.broker.submit(order())
    view = world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}1")
    assert view is not None
    assert (view.status, int(view.filled_qty)) == (OrderStatus.CANCELED, shares)


def test_the_same_id_twice_is_one_order(world: BrokerWorld) -> None:
    assert world.broker.submit(order()).result is SubmitResult.ACCEPTED
    assert world.broker.submit(order()).result is SubmitResult.EXISTS
    assert len(world.broker.orders_since(None).ours) == 1
    assert held(world) == 6


@pytest.mark.parametrize("kind", [Kind.STOP, Kind.STOP_AND_TARGET])
def test_a_protection_rests_until_it_is_canceled(world: BrokerWorld, kind: Kind) -> None:
    world.broker.submit(order())
    placed = world.broker.submit(protection(kind))
    assert placed.order is not None
    assert [each.client_order_id for each in world.broker.open_orders().ours] == [
        f"{CLIENT_ORDER_PREFIX}2"
    ]
    world.broker.cancel(placed.order.broker_order_id)
    view = world.broker.order(placed.order.broker_order_id)
    assert view is not None
    assert (view.status, int(view.filled_qty)) == (OrderStatus.CANCELED, 0)
    assert world.broker.open_orders().ours == ()


@pytest.mark.parametrize("kind", [Kind.STOP, Kind.STOP_AND_TARGET])
def test_a_protection_that_is_hit_shows_its_fill_and_the_position_is_gone(
    world: BrokerWorld, kind: Kind
) -> None:
    world.broker.submit(order())
    placed = world.broker.submit(protection(kind))
    world.stop()
    assert placed.order is not None
    view = world.broker.order(placed.order.broker_order_id)
    assert view is not None
    assert (view.status, int(view.filled_qty), view.average_price) == (
        OrderStatus.FILLED,
        6,
        Decimal("89.95"),
    )
    assert world.broker.positions().rows == ()


def test_canceling_what_has_ended_is_no_error(world: BrokerWorld) -> None:
    answer = world.broker.submit(order())
    assert answer.order is not None
    world.broker.cancel(answer.order.broker_order_id)
    view = world.broker.order(answer.order.broker_order_id)
    assert view is not None
    assert view.status is OrderStatus.FILLED


def test_what_is_not_there_is_none(world: BrokerWorld) -> None:
    assert world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}9") is None
    assert world.broker.order("5b1f2c6e-0000-4000-8000-000000000000") is None
    assert held(world) == 0


def test_orders_since_are_those_submitted_later(world: BrokerWorld) -> None:
    world.broker.submit(order())
    first = world.broker.orders_since(None).ours[0]
    assert world.broker.orders_since(first.submitted_at).ours == ()


def test_the_account_is_worth_its_cash_and_its_shares(world: BrokerWorld) -> None:
    before = world.broker.account()
    world.broker.submit(order())
    after, position = world.broker.account(), world.broker.positions().rows[0]
    assert after.cash == before.cash - 6 * position.average_price
    assert after.equity == after.cash + 6 * (position.mark or 0)
    assert not after.blocked


def test_the_clock_is_aware(world: BrokerWorld) -> None:
    assert world.broker.clock().at.utcoffset() is not None


def test_sessions_are_those_of_the_days_asked_for_in_order_and_with_their_hours(
    world: BrokerWorld,
) -> None:
    first = world.broker.clock().at.date()
    last = first + dt.timedelta(days=6)
    found = world.broker.sessions(first, last)
    days = [each.session for each in found]
    assert len(days) >= 3
    assert days == sorted(set(days))
    assert first <= days[0] <= days[-1] <= last
    for each in found:
        assert each.opens_at < each.closes_at
        assert each.opens_at.date() == each.session
    assert world.broker.sessions(days[1], days[1]) == (found[1],)


def test_an_order_that_the_last_look_forbids_does_not_arrive(world: BrokerWorld) -> None:
    answer = world.broker.submit(order(), last_look=lambda: "killed")
    assert (answer.result, answer.detail) == (SubmitResult.WITHHELD, "killed")
    assert world.broker.order_by_client_id(f"{CLIENT_ORDER_PREFIX}1") is None


def test_a_protection_has_a_living_stop_until_it_ends(world: BrokerWorld) -> None:
    world.broker.submit(order())
    placed = world.broker.submit(protection())
    assert placed.order is not None
    living = world.broker.order(placed.order.broker_order_id)
    world.broker.cancel(placed.order.broker_order_id)
    dead = world.broker.order(placed.order.broker_order_id)
    assert [view.stop_lives for view in (living, dead) if view] == [True, False]


def test_a_market_order_closes_what_is_held(world: BrokerWorld) -> None:
    world.broker.submit(order())
    world.broker.submit(order(2, side=Side.SELL, kind=Kind.MARKET, limit_price=None))
    assert held(world) == 0


def test_a_position_asked_by_itself_is_the_one_of_the_list(world: BrokerWorld) -> None:
    world.broker.submit(order())
    listed = world.broker.positions()
    assert listed.unreadable == ()
    assert listed.rows == (world.broker.position("AAPL"),)


def test_our_own_executions_are_not_foreign(world: BrokerWorld) -> None:
    before = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    world.broker.submit(order())
    assert world.broker.foreign_executions("AAPL", before) == 0


def test_a_protection_sent_twice_under_its_id_stands_once(world: BrokerWorld) -> None:
    """What makes a second POST after a crash harmless: the broker refuses the duplicate."""
    world.broker.submit(order())
    assert world.broker.submit(protection()).result is SubmitResult.ACCEPTED
    again = world.broker.submit(protection())
    assert (again.result, again.order) == (SubmitResult.EXISTS, None)
    assert len(world.broker.open_orders().ours) == 1
