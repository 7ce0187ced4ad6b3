"""The world changes at the simulated broker: no own share without its owner and its stop."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.orders.state import unprotected_symbols
from services.sim_broker.exchange import world_events as w
from services.sim_broker.fault_injection import kinds as k
from shared.schemas.messages import (
    AccountSeen,
    OrderEnded,
    PositionAdjusted,
    PositionDisputed,
    PositionRescaled,
    ProtectionPlaced,
)
from shared.schemas.values import Ending, Purpose, Side, Stage
from tests.unit.executor.sim_floor import SimFloor
from tests.unit.sim_broker.bar_table import DAYS, bar

pytestmark = pytest.mark.slow

MONDAY = DAYS[4]


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[SimFloor]:
    floor = SimFloor(tmp_path)
    floor.open()
    yield floor
    floor.close()


def protected(floor: SimFloor, symbol: str = "AAPL") -> bool:
    """By the executor, and by the broker's own book: a working stop for exactly our shares."""
    held, book = floor.state.positions[symbol], floor.sim.exchange.book
    stops = [
        each
        for order in floor.resting(symbol)
        for each in (order, book.leg(order))
        if each and each.type.value == "stop" and each.is_open
    ]
    covered = sum(int(each.remaining) for each in stops)
    return covered == abs(held.qty) and symbol not in unprotected_symbols(floor.state)


def test_a_wrong_empty_list_changes_nothing(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(k.EmptyPositions(times=3))
    floor.reconcile()
    floor.run(seconds=120)
    assert protected(floor)
    assert (floor.halts, floor.said(PositionAdjusted)) == ([], [])


@pytest.mark.parametrize("orders", ["cancel", "keep", "adjust"])
@pytest.mark.parametrize("new", ["2", "3"])
def test_a_split_overnight_is_followed_whatever_the_broker_does_with_orders(
    floor: SimFloor, orders: w.OpenOrders, new: str
) -> None:
    floor.enter()
    floor.happen(w.SplitEvent(symbol="AAPL", new=Decimal(new), session=MONDAY, orders=orders))
    floor.next_session()
    floor.run(seconds=60)
    assert floor.state.positions["AAPL"].qty == 3 * int(new) == floor.shares()
    assert floor.sold() == 0
    assert protected(floor)
    assert floor.halts == []
    assert len(floor.said(PositionRescaled)) == 1
    stop = floor.said(ProtectionPlaced)[-1].stop
    assert stop == (Decimal(90) / int(new)).quantize(Decimal("0.01"), "ROUND_DOWN")


@pytest.mark.parametrize("fraction", ["cash", "keep"])
def test_a_reverse_split_with_a_fraction_keeps_the_whole_shares(
    floor: SimFloor, fraction: str
) -> None:
    floor.enter(qty=20)
    event = w.SplitEvent(
        symbol="AAPL",
        new=Decimal(1),
        old=Decimal(8),
        session=MONDAY,
        fraction="cash" if fraction == "cash" else "keep",
    )
    floor.happen(event)
    floor.next_session()
    floor.run(seconds=60)
    assert floor.state.positions["AAPL"].qty == 2
    assert protected(floor)
    assert floor.halts == []


def test_a_rename_overnight_is_followed(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(w.RenameEvent(symbol="AAPL", new_symbol="APLX", session=MONDAY))
    floor.next_session()
    floor.run(seconds=60)
    assert list(floor.state.positions) == ["APLX"]
    assert protected(floor, "APLX")
    assert floor.halts == []


def test_a_spin_off_leaves_position_and_stop_and_shows_the_new_shares(floor: SimFloor) -> None:
    floor.enter()
    event = w.SpinOffEvent(
        symbol="AAPL", new_symbol="SPUN", session=MONDAY, value_fraction=Decimal("0.05")
    )
    floor.happen(event)
    floor.next_session()
    floor.run(seconds=60)
    assert floor.state.positions["AAPL"].qty == 3
    assert protected(floor)
    assert [held.symbol for held in floor.said(AccountSeen)[-1].external] == ["SPUN"]
    assert floor.halts == []


def test_a_delisting_that_pays_out_ends_the_position(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(w.DelistEvent(symbol="AAPL", price=Decimal(95), session=MONDAY))
    floor.next_session()
    floor.run(seconds=60)
    assert floor.state.positions == {}
    assert floor.sold() == 0


def test_a_dividend_paid_in_a_fraction_is_external(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(w.ReinvestEvent(symbol="AAPL", qty=Decimal("0.5")))
    floor.reconcile()
    floor.run(seconds=60)
    floor.restart().run(seconds=10)
    assert [each.standing for each in floor.said(PositionDisputed)] == ["fraction"]
    assert floor.state.positions["AAPL"].qty == 3
    assert floor.halts == []
    exit_ = floor.approve_exit(qty=3, limit_price=Decimal("99.90"))
    floor.run()
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is Ending.FILLED
    assert [floor.sold(), floor.shares()] == [3, Decimal("0.5")]


def test_shares_bought_by_hand_stay_when_our_stop_is_hit(tmp_path: Path) -> None:
    floor = SimFloor(tmp_path, {5: bar("89", "90", "85", "88")})
    floor.open()
    try:
        floor.happen(w.HandTradeEvent(symbol="AAPL", qty=Decimal(7)))
        floor.enter()
        floor.reconcile()
        floor.run(seconds=40)
        assert floor.shares() == 10
        assert protected(floor) is False
        floor.next_session()
        assert [floor.sold(), floor.shares()] == [3, 7]
        assert floor.state.positions == {}
    finally:
        floor.close()


def test_shares_sold_by_hand_are_adopted_and_the_stop_follows(floor: SimFloor) -> None:
    floor.enter()
    resting = floor.resting()[0]
    floor.happen(w.EndOrderEvent(client_order_id=resting.client_order_id))
    floor.happen(w.HandTradeEvent(symbol="AAPL", side=Side.SELL, qty=Decimal(1)))
    floor.reconcile()
    floor.run(seconds=60)
    assert [each.qty for each in floor.said(PositionAdjusted)] == [-1]
    assert floor.state.positions["AAPL"].qty == 2
    assert protected(floor)
    assert floor.halts == []


def test_a_stop_the_market_has_passed_at_the_open_is_an_exit(tmp_path: Path) -> None:
    floor = SimFloor(tmp_path, {5: bar("85", "86", "84", "85")})
    floor.open()
    try:
        floor.enter()
        floor.happen(k.RefuseStop(), w.EndOrderEvent(symbol="AAPL"))
        floor.next_session()
        floor.run(seconds=5)
        assert [floor.sold(), floor.shares()] == [3, 0]
        assert floor.state.positions == {}
    finally:
        floor.close()


def test_a_stop_hit_in_part_goes_on_resting(tmp_path: Path) -> None:
    floor = SimFloor(tmp_path, {5: bar("95", "96", "89", "95")})
    floor.open()
    try:
        floor.enter()
        floor.happen(k.PartialStop(symbol="AAPL", shares=Decimal(2)))
        floor.sim.advance(MONDAY, Stage.CLOSE, None)
        floor.open_later()
        floor.reconcile(Stage.CLOSE)
        assert floor.state.positions["AAPL"].qty == 1
        assert len(floor.said(ProtectionPlaced)) == 1
        assert protected(floor)
    finally:
        floor.close()


def test_a_dead_stop_beside_a_living_target_is_replaced(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(w.EndOrderEvent(symbol="AAPL", half="stop"))
    floor.reconcile()
    floor.run(seconds=5)
    assert len(floor.said(ProtectionPlaced)) == 2
    assert protected(floor)


def test_protections_ended_on_arrival_again_and_again_end_in_a_sale(floor: SimFloor) -> None:
    floor.happen(k.EndOnArrival(symbol="AAPL", times=3))
    floor.enter()
    for _ in range(8):
        floor.reconcile()
        floor.run(seconds=5)
    assert floor.state.positions == {}
    assert [floor.sold(), floor.shares()] == [3, 0]
    assert len(floor.sim.exchange.book.orders) <= 12


def test_a_cancel_that_hangs_costs_few_requests_and_halts(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(k.StuckCancel(times=0))
    floor.approve_exit(qty=3, limit_price=Decimal("99.90"))
    floor.run(seconds=300)
    assert len(floor.halts) == 1
    assert floor.shares() == 3


def test_an_entry_that_lingers_filled_in_part_is_ended_and_protected(floor: SimFloor) -> None:
    floor.happen(k.PartialFill(symbol="AAPL", shares=Decimal(2)), k.Linger(symbol="AAPL"))
    floor.enter()
    floor.run(seconds=6)
    assert floor.state.positions["AAPL"].qty == 2
    assert protected(floor)
    assert [said.filled_qty for said in floor.said(OrderEnded)] == [2]


def test_one_null_in_a_foreign_position_costs_nothing_else(floor: SimFloor) -> None:
    floor.happen(w.HandTradeEvent(symbol="IBM", qty=Decimal(1)))
    floor.enter()
    floor.happen(k.SetField(symbol="IBM", field="avg_entry_price", times=0))
    floor.reconcile()
    floor.run(seconds=60)
    assert floor.said(AccountSeen)[-1].unreadable == ("IBM",)
    assert protected(floor)
    assert floor.halts == []


@pytest.mark.parametrize("field", ["qty", "avg_entry_price", "symbol", "current_price"])
def test_a_null_in_our_own_position_loses_neither_books_nor_stop(
    floor: SimFloor, field: str
) -> None:
    floor.enter()
    floor.happen(k.SetField(symbol="AAPL", field=field, times=0))
    floor.reconcile()
    floor.run(seconds=120)
    assert floor.state.positions["AAPL"].qty == 3
    assert len(floor.resting()) == 1
    assert floor.halts == []


def test_an_order_that_appears_late_after_it_was_given_up_is_booked(floor: SimFloor) -> None:
    floor.happen(k.Lose(), k.HideOrder(times=40))
    order = floor.enter()
    floor.run(seconds=25)
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.ABANDONED]
    floor.sim.faults.clear()
    floor.reconcile()
    floor.run(seconds=5)
    assert floor.posts(order.client_order_id) == 1
    assert floor.state.positions["AAPL"].qty == 3
    assert protected(floor)
    assert len(floor.halts) == 1


def test_a_protection_whose_answer_is_lost_stands_once(floor: SimFloor) -> None:
    floor.happen(k.Lose(skip=1))
    floor.enter()
    floor.run(seconds=3)
    assert len(floor.resting()) == 1
    assert protected(floor)


def test_a_protection_that_never_arrived_is_sent_again_under_its_id(floor: SimFloor) -> None:
    floor.happen(k.CutBefore(skip=1))
    floor.enter()
    floor.run(seconds=3)
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1]
    assert protected(floor)


def test_a_blocked_account_halts_and_the_stop_stays(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(w.BlockEvent())
    floor.reconcile()
    floor.run(seconds=60)
    assert len(floor.halts) == 1
    assert len(floor.resting()) == 1


def test_an_overfill_halts_and_all_shares_are_protected(floor: SimFloor) -> None:
    floor.happen(k.Overfill(symbol="AAPL", shares=Decimal(2)))
    floor.enter()
    floor.run(seconds=5)
    assert floor.shares() == floor.state.positions["AAPL"].qty == 5
    assert len(floor.halts) == 1
    assert protected(floor)


def test_an_exit_whose_post_is_lost_leaves_nothing_bare_and_sells_once(floor: SimFloor) -> None:
    floor.enter()
    floor.happen(k.CutBefore())
    exit_ = floor.approve_exit(qty=3, limit_price=Decimal("99.90"))
    floor.run(seconds=5)
    assert protected(floor)
    floor.run(seconds=20)
    ends = {
        said.client_order_id: said.ending
        for said in floor.said(OrderEnded)
        if said.purpose is not Purpose.PROTECT
    }
    assert ends[exit_.client_order_id] is Ending.ABANDONED
    assert floor.shares() == 3
