"""Exits: the protection is canceled, what is held is sold; what stays held is protected again."""

from __future__ import annotations

from decimal import Decimal

from services.executor.brokers.protocol import Kind, SubmitAnswer, SubmitResult
from services.executor.orders.state import unprotected_symbols
from shared.schemas.messages import (
    OrderEnded,
    OrderFilled,
    ProtectionPlaced,
    ReconcileRequested,
    ScanExecuted,
)
from shared.schemas.values import Ending, OrderStatus, Phase, Purpose
from tests.unit.executor.floor import Floor

OTHER = "SCAN_20240105_205500"


def protection(floor: Floor) -> ProtectionPlaced:
    return floor.said(ProtectionPlaced)[-1]


def test_an_exit_cancels_the_protection_and_sells_everything(floor: Floor) -> None:
    floor.entered()
    exit_ = floor.approve_exit(qty=3, scan_id=OTHER)
    floor.decide(1, Phase.EXITS, scan_id=OTHER)
    floor.run()
    assert floor.broker.orders[protection(floor).client_order_id].status is OrderStatus.CANCELED
    assert floor.broker.held_shares == {}
    assert floor.state.positions == {}
    ends = {said.client_order_id: said for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id].ending is Ending.FILLED
    assert floor.said(OrderFilled)[-1].purpose is Purpose.TIME_EXIT
    assert [said.scan_id for said in floor.said(ScanExecuted)] == [OTHER]


def test_an_exit_sells_no_more_than_the_broker_holds(floor: Floor) -> None:
    floor.entered()
    floor.broker.held_shares["AAPL"] = (2, Decimal("180.10"))
    floor.approve_exit(qty=3)
    floor.run()
    assert floor.broker.posts[-1].qty == 2
    assert floor.said(OrderFilled)[-1].qty == 2


def test_an_exit_of_what_is_not_there_ends_unsent(floor: Floor) -> None:
    exit_ = floor.approve_exit(qty=3)
    floor.run()
    assert floor.posts(exit_.client_order_id) == 0
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.NOT_SENT]


def test_an_exit_that_is_not_filled_brings_the_protection_back_before_the_scan_is_executed(
    floor: Floor,
) -> None:
    floor.entered()
    floor.broker.shares["AAPL"] = 0
    floor.approve_exit(qty=3, scan_id=OTHER)
    floor.decide(1, Phase.EXITS, scan_id=OTHER)
    floor.run()
    placed = floor.said(ProtectionPlaced)
    assert [(each.counter, each.qty) for each in placed] == [(1, 3), (2, 3)]
    assert floor.all_said()[-1] == floor.said(ScanExecuted)[-1]
    assert unprotected_symbols(floor.state) == []


def test_an_exit_filled_in_part_leaves_the_rest_protected(floor: Floor) -> None:
    floor.entered()
    floor.broker.shares["AAPL"] = 1
    floor.approve_exit(qty=3)
    floor.run()
    assert [each.qty for each in floor.said(ProtectionPlaced)] == [3, 2]
    assert floor.state.positions["AAPL"].qty == 2


def test_an_exit_waits_until_the_protection_has_ended(floor: Floor) -> None:
    floor.entered()
    floor.broker.stubborn = True
    exit_ = floor.approve_exit(qty=3)
    floor.run(seconds=5)
    assert floor.posts(exit_.client_order_id) == 0
    floor.broker.stubborn = False
    floor.run(seconds=10)
    assert floor.broker.held_shares == {}


def test_a_stop_that_fills_while_it_is_canceled_leaves_nothing_to_sell(floor: Floor) -> None:
    floor.entered()
    floor.broker.fill(protection(floor).client_order_id, Decimal(170))
    exit_ = floor.approve_exit(qty=3)
    floor.run()
    assert floor.posts(exit_.client_order_id) == 0
    assert floor.said(OrderFilled)[-1].purpose is Purpose.PROTECT
    assert {said.ending for said in floor.said(OrderEnded)} == {Ending.FILLED, Ending.NOT_SENT}
    assert floor.state.positions == {}
    assert floor.halts == []


def test_a_stop_that_was_hit_is_told_at_the_next_reconciliation(floor: Floor) -> None:
    floor.entered()
    floor.broker.fill(protection(floor).client_order_id, Decimal(170))
    floor.reconcile()
    fill = floor.said(OrderFilled)[-1]
    assert (fill.purpose, fill.price, fill.qty) == (Purpose.PROTECT, Decimal(170), 3)
    assert floor.state.positions == {}
    assert floor.state.realised == 3 * (Decimal(170) - Decimal("180.10"))


def test_a_protection_the_broker_ends_by_itself_is_placed_anew(floor: Floor) -> None:
    floor.entered()
    floor.broker.end(protection(floor).client_order_id, OrderStatus.EXPIRED)
    floor.hear(ReconcileRequested(by="operator"))
    floor.run()
    assert [each.counter for each in floor.said(ProtectionPlaced)] == [1, 2]


def test_an_unclear_protection_is_looked_up_and_never_placed_twice(floor: Floor) -> None:
    entry = floor.approve()
    floor.broker.script = [
        (SubmitAnswer(SubmitResult.UNKNOWN, "entry lost"), True),
        (SubmitAnswer(SubmitResult.UNKNOWN, "stop lost"), True),
    ]
    floor.run(seconds=5)
    stops = [request for request in floor.broker.posts if request.kind is not Kind.IMMEDIATE]
    assert len(stops) == 1
    assert floor.posts(entry.client_order_id) == 1
    assert len(floor.said(ProtectionPlaced)) == 1
