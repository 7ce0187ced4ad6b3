"""From an approval to a protected position, on the real handlers, work and journal."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from services.executor.brokers.protocol import Kind
from services.executor.orders.state import unprotected_symbols
from shared.schemas.messages import (
    AccountSeen,
    OrderEnded,
    OrderFilled,
    ProtectionPlaced,
    ScanExecuted,
)
from shared.schemas.values import Ending, OrderStatus, Phase, Protection, Purpose, Side, Stage
from tests.builders import NOON, SESSION, approval
from tests.unit.executor.floor import Floor


def kinds(floor: Floor) -> list[str]:
    return [
        type(message).__name__
        for message in floor.all_said()
        if not isinstance(message, AccountSeen)
    ]


def test_an_entry_is_submitted_filled_ended_and_protected_and_then_its_scan_is_executed(
    floor: Floor,
) -> None:
    order = floor.approve()
    floor.decide(1)
    floor.run()
    assert kinds(floor) == [
        "OrderSubmitted",
        "OrderFilled",
        "OrderEnded",
        "ProtectionPlaced",
        "ScanExecuted",
    ]
    filled = floor.said(OrderFilled)[0]
    assert (filled.qty, filled.price, filled.cumulative_qty) == (3, Decimal("180.1"), 3)
    assert (filled.session, filled.stop, filled.time_stop_bars) == (SESSION, Decimal("170.00"), 20)
    assert floor.said(OrderEnded)[0].ending is Ending.FILLED
    placed = floor.said(ProtectionPlaced)[0]
    assert (placed.parent_client_order_id, placed.qty, placed.side) == (
        order.client_order_id,
        3,
        Side.SELL,
    )
    assert unprotected_symbols(floor.state) == []


def test_an_entry_and_its_protection_take_one_request_to_send_each(floor: Floor) -> None:
    floor.entered()
    assert [request.kind for request in floor.broker.posts] == [
        Kind.IMMEDIATE,
        Kind.STOP_AND_TARGET,
    ]


def test_without_a_target_the_protection_is_a_stop_alone(floor: Floor) -> None:
    floor.entered(protection=Protection(stop=Decimal("170.00"), target=None, time_stop_bars=5))
    assert floor.broker.posts[1].kind is Kind.STOP


@pytest.mark.parametrize("shares", [0, 1, 2, 3])
def test_what_an_immediate_order_fills_is_booked_and_protected_whatever_its_end(
    floor: Floor, shares: int
) -> None:
    floor.broker.shares["AAPL"] = shares
    floor.approve()
    floor.decide(1)
    floor.run()
    ended = floor.said(OrderEnded)[0]
    assert ended.filled_qty == shares
    assert ended.ending is (Ending.FILLED if shares == 3 else Ending.CANCELED)
    assert sum(fill.qty for fill in floor.said(OrderFilled)) == shares
    assert [placed.qty for placed in floor.said(ProtectionPlaced)] == ([shares] if shares else [])
    assert len(floor.said(ScanExecuted)) == 1


def test_several_fills_add_up_to_what_the_broker_says_they_cost(floor: Floor) -> None:
    floor.broker.stubborn = True
    order = floor.entered()
    for price, qty in (("180.01", 1), ("180.02", 1)):
        floor.broker.fill(order.client_order_id, Decimal(price), qty)
        floor.run(seconds=2)
    floor.broker.fill(order.client_order_id, Decimal("180.07"))
    floor.run(seconds=4)
    fills = floor.said(OrderFilled)
    assert [fill.cumulative_qty for fill in fills] == [1, 2, 3]
    assert abs(sum(fill.qty * fill.price for fill in fills) - Decimal("540.10")) < Decimal(
        "0.000001"
    )


def test_a_scan_without_approved_orders_is_executed_at_once(floor: Floor) -> None:
    floor.decide(0, Phase.EXITS)
    floor.run()
    assert [(said.phase, said.final) for said in floor.said(ScanExecuted)] == [(Phase.EXITS, True)]


def test_a_scan_decided_twice_is_executed_once(floor: Floor) -> None:
    floor.decide(0)
    floor.decide(0)
    floor.run()
    assert len(floor.said(ScanExecuted)) == 1


def test_a_scan_waits_for_every_one_of_its_orders(floor: Floor) -> None:
    floor.approve("AAPL")
    floor.approve("IBM")
    floor.broker.stubborn = True
    floor.decide(2)
    floor.run()
    assert floor.said(ScanExecuted) == []
    for order in list(floor.broker.orders):
        floor.broker.end(order, OrderStatus.CANCELED)
    floor.run(seconds=2)
    assert len(floor.said(ScanExecuted)) == 1


def test_approvals_are_sent_in_the_order_of_the_stream(floor: Floor) -> None:
    for symbol in ("IBM", "AAPL", "MSFT"):
        floor.approve(symbol)
    floor.run()
    entries = [request.symbol for request in floor.broker.posts if request.kind is Kind.IMMEDIATE]
    assert entries == ["IBM", "AAPL", "MSFT"]


def test_the_same_approval_heard_again_is_logged_and_never_sent(floor: Floor) -> None:
    order = floor.entered()
    floor.hear(order)
    floor.run()
    assert floor.posts(order.client_order_id) == 1
    assert "idempotency_duplicate" in floor.log.events
    assert len(floor.said(OrderEnded)) == 1


def test_an_old_approval_is_a_repeat_even_when_the_state_has_forgotten_it(floor: Floor) -> None:
    order = floor.entered(expires_at=NOON + dt.timedelta(days=9))
    floor.broker.fill(floor.said(ProtectionPlaced)[0].client_order_id, Decimal(170))
    floor.reconcile()
    later = floor.open_later()
    assert order.client_order_id not in floor.state.orders
    floor.hear(order, session=later)
    floor.run()
    assert floor.posts(order.client_order_id) == 1
    assert len(floor.said(OrderEnded)) == 2


@pytest.mark.parametrize(
    ("changes", "sealed", "ending"),
    [
        ({"expires_at": NOON}, {}, Ending.EXPIRED),
        ({"protection": None}, {}, Ending.NOT_SENT),
        ({"purpose": Purpose.PROTECT}, {}, Ending.NOT_SENT),
        ({"client_order_id": "somebody-elses"}, {}, Ending.NOT_SENT),
        ({}, {"session": SESSION - dt.timedelta(days=1)}, Ending.NOT_SENT),
        ({}, {"config_pin": "another"}, Ending.NOT_SENT),
    ],
)
def test_an_approval_that_does_not_hold_ends_without_a_post(
    floor: Floor, changes: dict[str, object], sealed: dict[str, object], ending: Ending
) -> None:
    floor.hear(approval(**changes), **sealed)
    floor.run()
    assert floor.broker.posts == []
    assert [said.ending for said in floor.said(OrderEnded)] in ([ending], [])
    assert [order.ending for order in floor.state.orders.values()] == [ending]


@pytest.mark.parametrize("sealed", [{"mode": "live"}, {"mode": "paper"}, {"account": "another"}])
def test_an_approval_for_another_mode_or_account_goes_to_the_dead_letters(
    floor: Floor, sealed: dict[str, object]
) -> None:
    floor.hear(approval(), **sealed)
    floor.run()
    assert floor.broker.posts == []
    assert len(floor.server.stream("kobe:dead").entries) == 1


def test_the_account_is_seen_at_every_stage_asked_for(floor: Floor) -> None:
    floor.entered()
    floor.reconcile(Stage.OPEN).reconcile(Stage.MARK)
    seen = floor.said(AccountSeen)[-2:]
    assert [(each.stage, each.session, each.drift) for each in seen] == [
        (Stage.OPEN, SESSION, ()),
        (Stage.MARK, SESSION, ()),
    ]
    assert seen[-1].cash == Decimal(100000) - 3 * Decimal("180.10")
    assert [(held.symbol, held.qty) for held in seen[-1].holdings] == [("AAPL", Decimal(3))]


def test_a_scan_that_waits_over_the_next_open_is_still_executed(floor: Floor) -> None:
    floor.broker.stubborn = True
    done, late = floor.approve("AAPL"), floor.approve("IBM")
    floor.decide(2)
    floor.run()
    floor.broker.end(done.client_order_id, OrderStatus.CANCELED)
    floor.run(seconds=2)
    floor.open_later()
    assert floor.said(ScanExecuted) == []
    floor.broker.end(late.client_order_id, OrderStatus.CANCELED)
    floor.run(seconds=9)
    assert len(floor.said(ScanExecuted)) == 1
