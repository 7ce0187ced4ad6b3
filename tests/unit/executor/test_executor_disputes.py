"""Where broker and books differ.

What is believed, adopted, disputed, and settled by the operator.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from services.executor.brokers.protocol import SubmitAnswer, SubmitResult
from services.executor.metrics import gauges
from services.executor.orders.judgement import PositionStanding
from shared.domain.errors import TransientError
from shared.schemas.messages import (
    AccountSeen,
    AdoptRequested,
    DriftAcknowledged,
    OrderEnded,
    OrderFilled,
    PositionAdjusted,
    PositionDisputed,
    ProtectionPlaced,
    ReleaseRequested,
)
from shared.schemas.values import Ending, OrderStatus, Purpose, Stage
from tests.unit.executor.floor import Floor

PAID = Decimal("180.10")


def holds(floor: Floor, qty: str | int) -> None:
    floor.broker.held_shares["AAPL"] = (Decimal(qty), PAID)


def stop_status(floor: Floor) -> OrderStatus:
    return floor.broker.orders[floor.said(ProtectionPlaced)[0].client_order_id].status


def disputes(floor: Floor) -> list[tuple[str, str, bool]]:
    return [(each.symbol, each.standing, each.halts) for each in floor.said(PositionDisputed)]


# --- absence --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lists", [1, 2, 3])
def test_a_wrong_empty_list_of_positions_changes_nothing(floor: Floor, lists: int) -> None:
    floor.entered()
    before = floor.reconcile().state.positions
    floor.broker.empty_lists = lists
    floor.reconcile()
    floor.run(seconds=200)
    assert floor.state.positions == before
    assert stop_status(floor) is OrderStatus.NEW
    assert floor.said(PositionAdjusted) == []
    assert floor.halts == []
    assert floor.state.drifts == {}


def test_a_position_that_is_gone_halts_after_a_second_look_and_keeps_its_stop(
    floor: Floor,
) -> None:
    floor.entered()
    del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    assert floor.said(AccountSeen)[-1].drift == ("AAPL",)
    floor.run(seconds=29)
    assert (floor.halts, disputes(floor)) == ([], [])
    floor.run(seconds=3)
    assert disputes(floor) == [("AAPL", "gone", True)]
    assert floor.halts == ["AAPL: gone: we hold 3, the broker 0"]
    floor.run(seconds=600)
    assert len(floor.halts) == 1
    assert floor.state.positions["AAPL"].qty == 3
    assert stop_status(floor) is OrderStatus.NEW
    assert floor.said(PositionAdjusted) == []


def test_a_dispute_costs_no_request_until_the_next_reconciliation(floor: Floor) -> None:
    floor.entered()
    del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    floor.run(seconds=40)
    before = floor.broker.requests_made
    floor.run(seconds=600)
    assert floor.broker.requests_made == before


def test_a_stop_that_ends_while_its_shares_are_gone_is_not_placed_in_the_air(
    floor: Floor,
) -> None:
    floor.entered()
    floor.broker.end(floor.said(ProtectionPlaced)[0].client_order_id, OrderStatus.CANCELED)
    del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    floor.run(seconds=600)
    assert len(floor.broker.posts) == 2
    assert disputes(floor) == [("AAPL", "gone", True)]


def test_a_dispute_that_heals_is_over_and_the_position_protected_again(floor: Floor) -> None:
    floor.entered()
    floor.broker.end(floor.said(ProtectionPlaced)[0].client_order_id, OrderStatus.CANCELED)
    held = floor.broker.held_shares.pop("AAPL")
    floor.reconcile()
    floor.run(seconds=60)
    floor.broker.held_shares["AAPL"] = held
    floor.reconcile()
    assert floor.state.disputes == {}
    assert floor.said(ProtectionPlaced)[-1].qty == 3


# --- fewer, more, fractions ---


@pytest.mark.parametrize(("held", "sold"), [(2, -1), (1, -2)])
def test_shares_sold_by_hand_are_adopted_on_the_second_look_and_the_stop_follows(
    floor: Floor, held: int, sold: int
) -> None:
    floor.entered()
    holds(floor, held)
    floor.broker.foreign["AAPL"] = Decimal(sold)
    floor.reconcile()
    floor.run(seconds=35)
    assert [(each.qty, each.symbol) for each in floor.said(PositionAdjusted)] == [(sold, "AAPL")]
    assert floor.state.positions["AAPL"].qty == held
    assert floor.said(ProtectionPlaced)[-1].qty == held
    assert (floor.halts, disputes(floor)) == ([], [])
    floor.run(seconds=600)
    assert len(floor.said(PositionAdjusted)) == 1


def test_all_shares_sold_by_hand_are_adopted_too(floor: Floor) -> None:
    floor.entered()
    del floor.broker.held_shares["AAPL"]
    floor.broker.foreign["AAPL"] = Decimal(-3)
    floor.reconcile()
    floor.run(seconds=35)
    assert floor.state.positions == {}
    assert stop_status(floor) is OrderStatus.CANCELED
    assert floor.halts == []


@pytest.mark.parametrize("executed", [0, -2, 1])
def test_missing_shares_that_executions_do_not_explain_halt(floor: Floor, executed: int) -> None:
    floor.entered()
    holds(floor, 2)
    floor.broker.foreign["AAPL"] = Decimal(executed)
    floor.reconcile()
    floor.run(seconds=35)
    assert disputes(floor) == [("AAPL", "fewer", True)]
    assert floor.state.positions["AAPL"].qty == 3
    assert stop_status(floor) is OrderStatus.NEW


def test_shares_bought_by_hand_are_external_and_never_sold(floor: Floor) -> None:
    holds(floor, 7)
    floor.reconcile()
    floor.entered()
    assert floor.broker.held_shares["AAPL"][0] == 10
    floor.reconcile()
    floor.run(seconds=35)
    assert disputes(floor) == [("AAPL", "more", False)]
    assert floor.halts == []
    assert floor.state.positions["AAPL"].qty == 3
    assert [held.qty for held in floor.said(AccountSeen)[-1].external] == [7]
    floor.broker.fill(floor.said(ProtectionPlaced)[0].client_order_id, Decimal(170))
    floor.reconcile()
    assert floor.broker.held_shares["AAPL"][0] == 7
    assert floor.state.positions == {}
    assert floor.said(AccountSeen)[-1].drift == ()


def test_an_exit_beside_external_shares_sells_only_ours(floor: Floor) -> None:
    holds(floor, 7)
    floor.entered()
    floor.approve_exit(qty=10)
    floor.run()
    assert floor.broker.posts[-1].qty == 3
    assert floor.broker.held_shares["AAPL"][0] == 7


def test_an_exit_of_shares_that_are_not_ours_is_never_sent(floor: Floor) -> None:
    holds(floor, 7)
    exit_ = floor.approve_exit(qty=7)
    floor.run()
    assert floor.posts(exit_.client_order_id) == 0
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.NOT_SENT]


@pytest.mark.parametrize(
    ("held", "halts"), [("3.5", False), ("3.000000001", False), ("2.5", True), ("0.5", True)]
)
def test_a_fraction_is_an_alert_or_a_halt_and_never_an_accident(
    floor: Floor, held: str, halts: bool
) -> None:
    floor.entered()
    holds(floor, held)
    floor.reconcile()
    floor.run(seconds=35)
    floor.restart().run(seconds=60)
    assert disputes(floor) == [("AAPL", "fraction", halts)]
    assert bool(floor.halts) is halts
    assert floor.state.positions["AAPL"].qty == 3
    assert stop_status(floor) is OrderStatus.NEW
    exit_ = floor.approve_exit(qty=3)
    floor.run()
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is (Ending.HALTED if halts else Ending.FILLED)


def test_a_position_turned_round_halts_and_can_only_be_released(floor: Floor) -> None:
    floor.entered()
    holds(floor, -3)
    floor.reconcile()
    floor.run(seconds=35)
    assert disputes(floor) == [("AAPL", "other_sign", True)]
    floor.hear(AdoptRequested(symbol="AAPL", by="me"))
    floor.run()
    assert floor.state.positions["AAPL"].qty == 3
    floor.hear(ReleaseRequested(symbol="AAPL", by="me"))
    floor.run()
    assert floor.state.positions == {}
    assert stop_status(floor) is OrderStatus.CANCELED


def test_a_difference_that_changes_at_every_look_is_the_operators_in_the_end(floor: Floor) -> None:
    floor.entered()
    for held in (2, 1, 2, 1, 2, 1, 2):
        holds(floor, held)
        floor.reconcile()
        floor.run(seconds=31)
    assert len(disputes(floor)) >= 1
    assert floor.state.positions["AAPL"].qty == 3


# --- the operator's word ---


def disputed(floor: Floor, qty: int | str) -> None:
    floor.entered()
    holds(floor, qty)
    floor.reconcile()
    floor.run(seconds=35)
    assert list(floor.state.disputes) == ["AAPL"]


@pytest.mark.parametrize(("held", "ours"), [(5, 5), (2, 2), ("3.5", 3), ("2.5", 2)])
def test_adopting_makes_the_brokers_whole_shares_ours_with_our_stop_for_all(
    floor: Floor, held: str | int, ours: int
) -> None:
    disputed(floor, held)
    floor.hear(AdoptRequested(symbol="AAPL", by="me"))
    floor.run(seconds=40)
    assert floor.state.positions["AAPL"].qty == ours
    assert floor.state.disputes == {}
    assert floor.said(ProtectionPlaced)[-1].qty == ours
    assert floor.said(AccountSeen)[-1].drift == ()
    if ours != 3:
        assert "adopted by me" in floor.said(PositionAdjusted)[-1].why


def test_releasing_gives_the_shares_up_and_cancels_the_stop(floor: Floor) -> None:
    disputed(floor, 5)
    floor.hear(ReleaseRequested(symbol="AAPL", by="me"))
    floor.run(seconds=40)
    assert floor.state.positions == {}
    assert stop_status(floor) is OrderStatus.CANCELED
    assert floor.broker.held_shares["AAPL"][0] == 5
    assert [held.qty for held in floor.said(AccountSeen)[-1].external] == [5]


def test_acknowledging_lets_the_other_shares_be_and_they_may_go_again(floor: Floor) -> None:
    disputed(floor, 10)
    floor.hear(DriftAcknowledged(symbol="AAPL", by="me"))
    floor.run(seconds=40)
    assert floor.said(AccountSeen)[-1].drift == ()
    assert floor.state.accepted == {"AAPL": Decimal(7)}
    holds(floor, 8)
    floor.reconcile()
    floor.run(seconds=40)
    assert (len(disputes(floor)), floor.state.disputes) == (1, {})
    holds(floor, 12)
    floor.reconcile()
    floor.run(seconds=40)
    assert len(disputes(floor)) == 2


def test_missing_shares_cannot_be_talked_away(floor: Floor) -> None:
    disputed(floor, 2)
    floor.hear(DriftAcknowledged(symbol="AAPL", by="me"))
    floor.run(seconds=40)
    assert floor.state.disputes["AAPL"].standing is PositionStanding.FEWER


@pytest.mark.parametrize("message", [AdoptRequested, ReleaseRequested, DriftAcknowledged])
def test_a_word_about_a_symbol_that_is_not_disputed_is_harmless(
    floor: Floor, message: type[AdoptRequested]
) -> None:
    floor.entered()
    floor.hear(message(symbol="IBM", by="me"))
    floor.run()
    assert list(floor.state.positions) == ["AAPL"]


# --- what makes no sense ---


def test_unreadable_rows_are_named_and_cost_no_other(floor: Floor) -> None:
    floor.entered()
    holds(floor, 3)
    floor.broker.held_shares["WEIRD"] = (Decimal(1), Decimal(1))
    floor.broker.unreadable = {"WEIRD"}
    floor.reconcile()
    floor.run(seconds=40)
    assert floor.said(AccountSeen)[-1].unreadable == ("WEIRD",)
    assert floor.halts == []
    shown = {sample.name: sample.value for sample in gauges(floor.state)}
    assert shown["kobe_executor_unreadable_rows"] == 1


@pytest.mark.parametrize("name", ["AAPL", "?"])
def test_a_row_that_cannot_be_read_is_no_absence(floor: Floor, name: str) -> None:
    floor.entered()
    floor.broker.unreadable = {name, "AAPL"}
    floor.reconcile()
    floor.run(seconds=100)
    assert floor.state.positions["AAPL"].qty == 3
    assert (floor.halts, disputes(floor)) == ([], [])


def test_while_the_broker_does_not_answer_everything_else_goes_on(floor: Floor) -> None:
    floor.entered()

    def away() -> object:
        floor.broker.requests_made += 1
        raise TransientError("positions are away")

    floor.broker.positions = away  # type: ignore[method-assign, assignment]
    before = floor.broker.requests_made
    floor.reconcile()
    floor.run(seconds=120)
    assert floor.broker.requests_made - before <= 12
    exit_ = floor.approve_exit(qty=3)
    floor.run()
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is Ending.FILLED


# --- orders that were given up ---


def test_an_order_given_up_that_appears_filled_later_is_booked_protected_and_halts(
    floor: Floor,
) -> None:
    floor.broker.script = [(SubmitAnswer(SubmitResult.UNKNOWN, "lost"), True)]
    order = floor.approve()
    floor.broker.hidden.add(order.client_order_id)
    floor.run(seconds=20)
    assert floor.said(OrderEnded)[-1].ending is Ending.ABANDONED
    other = floor.entered("IBM")
    floor.reconcile()
    assert other.client_order_id in floor.broker.orders
    floor.broker.hidden.clear()
    floor.reconcile()
    assert floor.state.positions["AAPL"].qty == 3
    assert {placed.symbol for placed in floor.said(ProtectionPlaced)} == {"AAPL", "IBM"}
    assert [fill.purpose for fill in floor.said(OrderFilled) if fill.symbol == "AAPL"] == [
        Purpose.ENTRY
    ]
    assert len(floor.halts) == 1
    assert "was given up, and the broker shows it" in floor.halts[0]
    ends = [said for said in floor.said(OrderEnded) if said.symbol == "AAPL"]
    assert len(ends) == 1


def test_shares_that_vanish_in_a_stepped_exchange_are_closed_at_their_last_price(
    tmp_path: Path,
) -> None:
    floor = Floor(tmp_path, replay=True, stepped=True).open()
    floor.entered()
    floor.broker.price["AAPL"] = Decimal("185.50")
    floor.reconcile(Stage.MARK)
    del floor.broker.held_shares["AAPL"]
    floor.reconcile()
    adjusted = floor.said(PositionAdjusted)
    assert [(each.qty, each.price) for each in adjusted] == [(-3, Decimal("185.50"))]
    assert floor.state.positions == {}
    assert floor.halts == []
