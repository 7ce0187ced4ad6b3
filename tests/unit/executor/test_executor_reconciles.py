"""Our books against the broker's: what vanished, drifts, is not ours, or nobody journaled."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.metrics import gauges
from services.executor.orders.state import unprotected_symbols
from shared.domain.errors import TransientError
from shared.domain.trading.orders import OrderView
from shared.schemas.messages import AccountSeen, OrderFilled, PositionAdjusted, ProtectionPlaced
from shared.schemas.values import OrderStatus, Side, Stage
from tests.unit.executor.floor import Floor


def stranger(floor: Floor, name: str) -> OrderView:
    return OrderView(
        client_order_id=name,
        broker_order_id="b-99",
        symbol="IBM",
        side=Side.BUY,
        qty=Decimal(1),
        status=OrderStatus.NEW,
        submitted_at=floor.clock.now(),
    )


def test_a_difference_that_heals_is_forgotten(floor: Floor) -> None:
    floor.entered()
    floor.broker.held_shares["AAPL"] = (2, Decimal("180.10"))
    floor.reconcile()
    floor.broker.held_shares["AAPL"] = (3, Decimal("180.10"))
    floor.run(seconds=65)
    assert floor.halts == []
    assert floor.state.drifts == {}


def test_an_order_of_ours_that_nobody_journaled_halts_when_it_is_seen_twice(floor: Floor) -> None:
    floor.broker.add(stranger(floor, "k81-nobodyknowsthisone"))
    floor.reconcile()
    assert floor.halts == []
    floor.run(seconds=35)
    assert len(floor.halts) == 1
    assert "k81-nobodyknowsthisone" in floor.halts[0]
    floor.run(seconds=90)
    assert len(floor.halts) == 1


def test_orders_and_positions_of_others_are_counted_and_left_alone(floor: Floor) -> None:
    floor.broker.add(stranger(floor, "made-by-hand"))
    floor.broker.held_shares["TSLA"] = (7, Decimal(200))
    floor.reconcile()
    floor.run(seconds=65)
    shown = {sample.name: sample.value for sample in gauges(floor.state)}
    assert shown["kobe_executor_foreign_orders"] == 1
    assert shown["kobe_executor_foreign_positions"] == 1
    assert floor.halts == []
    assert floor.said(PositionAdjusted) == []
    assert [held.symbol for held in floor.said(AccountSeen)[-1].holdings] == ["TSLA"]


def test_a_blocked_account_halts_once(floor: Floor) -> None:
    floor.broker.blocked = True
    floor.reconcile().reconcile()
    assert len(floor.halts) == 1
    assert floor.said(AccountSeen)[-1].blocked


def test_the_account_is_seen_after_the_fills_that_made_it(floor: Floor) -> None:
    floor.entered()
    floor.broker.fill(floor.said(ProtectionPlaced)[0].client_order_id, Decimal(170))
    floor.reconcile()
    assert [type(said).__name__ for said in floor.all_said()][-3:] == [
        "OrderFilled",
        "OrderEnded",
        "AccountSeen",
    ]
    assert floor.said(AccountSeen)[-1].holdings == ()


def test_the_gauges_show_what_is_held_and_that_it_is_protected(floor: Floor) -> None:
    floor.entered()
    floor.reconcile()
    shown = {sample.name: sample.value for sample in gauges(floor.state)}
    assert shown["kobe_executor_positions_open"] == 1
    assert shown["kobe_executor_positions_unprotected"] == 0
    assert shown["kobe_executor_open_orders"] == 1
    assert shown["kobe_executor_cash_dollars"] == pytest.approx(100000 - 540.30)


def test_a_position_without_protection_shows(floor: Floor) -> None:
    floor.entered()
    floor.broker.end(floor.said(ProtectionPlaced)[0].client_order_id, OrderStatus.CANCELED)
    floor.broker.away = True
    state = floor.state
    bare = {key: order for key, order in state.orders.items() if not order.parent}
    shown = {sample.name: sample.value for sample in gauges(replace(state, orders=bare))}
    assert shown["kobe_executor_positions_unprotected"] == 1


def test_a_fill_that_comes_between_the_questions_is_no_difference_of_the_books(
    floor: Floor,
) -> None:
    floor.entered()
    stop = floor.said(ProtectionPlaced)[0].client_order_id
    positions = floor.broker.positions

    def hit_after_positions() -> object:
        seen = positions()
        floor.broker.fill(stop, Decimal(170))
        floor.broker.positions = positions  # type: ignore[method-assign]
        return seen

    floor.broker.positions = hit_after_positions  # type: ignore[method-assign, assignment]
    floor.reconcile()
    assert floor.said(PositionAdjusted) == []
    assert floor.state.positions == {}
    assert sum(fill.qty for fill in floor.said(OrderFilled)) == 6
    floor.run(seconds=65)
    assert floor.halts == []


def test_an_order_the_broker_has_forgotten_is_given_up_and_its_position_protected_anew(
    floor: Floor,
) -> None:
    floor.entered()
    stop = floor.said(ProtectionPlaced)[0]
    del floor.broker.orders[stop.client_order_id]
    floor.reconcile()
    floor.run(seconds=20)
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1, 2]
    assert unprotected_symbols(floor.state) == []
    assert floor.halts == []


def test_each_look_reports_the_brokers_clock_and_its_sessions_of_the_week(floor: Floor) -> None:
    floor.reconcile(Stage.START)
    market = floor.said(AccountSeen)[-1].market
    assert market is not None
    assert (market.at, market.is_open) == (floor.clock.now(), True)
    assert (market.last - market.first).days == 7
    assert len(market.sessions) in (5, 6)


def test_a_calendar_that_does_not_answer_costs_the_look_nothing_else(
    floor: Floor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(first: object, last: object) -> None:
        raise TransientError("the broker answers /v2/calendar with 500")

    monkeypatch.setattr(floor.broker, "sessions", unavailable)
    floor.reconcile(Stage.START)
    seen = floor.said(AccountSeen)[-1]
    assert seen.market is None
    assert seen.stage is Stage.START
