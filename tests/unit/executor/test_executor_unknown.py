"""When nobody knows: look-ups, adoption, abandonment, retries of what was not taken, halts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.executor.brokers.protocol import SubmitAnswer, SubmitResult
from shared.schemas.messages import (
    OrderEnded,
    OrderFilled,
    OrderSubmitted,
    OrderUnknown,
    ProtectionPlaced,
)
from shared.schemas.values import Ending, OrderStatus, Side
from tests.unit.executor.floor import Floor

LOST = SubmitAnswer(SubmitResult.UNKNOWN, "no answer")


def test_an_order_taken_without_an_answer_is_found_and_adopted(floor: Floor) -> None:
    floor.broker.script = [(LOST, True)]
    order = floor.approve()
    floor.run()
    assert [said.detail for said in floor.said(OrderUnknown)] == ["no answer"]
    assert floor.said(OrderEnded) == []
    floor.run(seconds=1)
    assert floor.posts(order.client_order_id) == 1
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]
    assert len(floor.said(ProtectionPlaced)) == 1


def test_an_order_never_taken_is_abandoned_after_three_misses_over_ten_seconds_at_fifteen(
    floor: Floor,
) -> None:
    floor.broker.script = [(LOST, False)]
    order = floor.approve()
    floor.run(seconds=14.5)
    assert floor.said(OrderEnded) == []
    floor.run(seconds=2)
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.ABANDONED]
    assert floor.posts(order.client_order_id) == 1


def test_an_order_that_appears_late_is_not_abandoned(floor: Floor) -> None:
    floor.broker.script = [(LOST, True)]
    order = floor.approve()
    floor.broker.hidden.add(order.client_order_id)
    floor.run(seconds=3.2)
    floor.broker.hidden.clear()
    floor.run(seconds=20)
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]


def test_while_the_broker_is_away_an_unknown_order_stays_unknown(floor: Floor) -> None:
    floor.broker.script = [(LOST, True)]
    floor.approve()
    floor.broker.before_answer = lambda: setattr(floor.broker, "away", True)
    floor.run(seconds=45)
    assert floor.said(OrderEnded) == []
    floor.broker.away = False
    floor.run(seconds=10)
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]
    assert floor.halts == []


def test_one_order_unknown_for_a_minute_halts_once(floor: Floor) -> None:
    floor.broker.script = [(LOST, True)]
    floor.approve()
    floor.broker.before_answer = lambda: setattr(floor.broker, "away", True)
    floor.run(seconds=120)
    assert len(floor.halts) == 1
    assert "unknown for" in floor.halts[0]


def test_five_unclear_answers_in_a_row_halt(floor: Floor) -> None:
    floor.broker.script = [(LOST, False)] * 5
    for number in range(5):
        assert floor.halts == []
        floor.entered(f"S{number}")
    assert len(floor.halts) == 1
    assert floor.entered("NEXT").client_order_id not in floor.broker.orders
    assert floor.said(OrderEnded)[-1].ending is Ending.HALTED


def test_a_clear_answer_begins_the_count_of_unclear_ones_again(floor: Floor) -> None:
    floor.broker.script = [(LOST, False)] * 4
    for number in range(5):
        floor.entered(f"S{number}")
    floor.broker.script = [(LOST, False)] * 4
    for number in range(5, 9):
        floor.entered(f"S{number}")
    assert floor.halts == []


@pytest.mark.parametrize(
    ("fate", "tries"),
    [(SubmitResult.NOT_SENT, 2), (SubmitResult.NOT_TAKEN, 3)],
)
def test_what_was_surely_not_taken_is_tried_again_with_the_same_id_and_not_for_ever(
    floor: Floor, fate: SubmitResult, tries: int
) -> None:
    floor.broker.script = [(SubmitAnswer(fate, "no", retry_after=1.0), False)] * 9
    order = floor.approve()
    floor.run(seconds=14)
    assert floor.posts(order.client_order_id) == tries
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.EXPIRED]


def test_a_second_try_that_is_taken_is_one_order(floor: Floor) -> None:
    floor.broker.script = [(SubmitAnswer(SubmitResult.NOT_SENT, "refused", retry_after=1.0), False)]
    order = floor.approve()
    floor.run(seconds=2)
    assert floor.posts(order.client_order_id) == 2
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]


def test_a_wait_longer_than_its_life_ends_the_order_at_once(floor: Floor) -> None:
    floor.broker.script = [(SubmitAnswer(SubmitResult.NOT_TAKEN, "429", retry_after=30.0), False)]
    floor.approve()
    floor.run()
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.EXPIRED]


def test_what_our_own_budget_keeps_back_is_not_a_try(floor: Floor) -> None:
    kept_back = SubmitAnswer(SubmitResult.NOT_TAKEN, "kept back", retry_after=1.0, counted=False)
    floor.broker.script = [(kept_back, False)] * 6
    order = floor.approve()
    floor.run(seconds=8)
    assert floor.posts(order.client_order_id) == 7
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]


def test_a_rejection_is_terminal_and_opens_nothing(floor: Floor) -> None:
    floor.broker.script = [
        (SubmitAnswer(SubmitResult.REJECTED, "403 insufficient buying power"), False)
    ]
    floor.approve()
    floor.run(seconds=20)
    ended = floor.said(OrderEnded)
    assert [(said.ending, said.detail) for said in ended] == [
        (Ending.REJECTED, "403 insufficient buying power")
    ]
    assert floor.halts == []


def test_a_refusal_of_the_account_itself_halts(floor: Floor) -> None:
    floor.broker.script = [
        (SubmitAnswer(SubmitResult.REJECTED, "401 unauthorised", halts=True), False)
    ]
    floor.approve()
    floor.run()
    assert len(floor.halts) == 1


def test_a_duplicate_id_at_the_broker_is_adopted(floor: Floor) -> None:
    floor.broker.script = [(SubmitAnswer(SubmitResult.EXISTS, "must be unique"), True)]
    floor.approve()
    floor.run()
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.FILLED]
    assert len(floor.said(OrderSubmitted)) == 1


@pytest.mark.parametrize("change", [{"symbol": "IBM"}, {"qty": Decimal(4)}, {"side": Side.SELL}])
def test_another_order_under_our_id_halts_and_is_never_booked(
    floor: Floor, change: dict[str, Any]
) -> None:
    floor.broker.script = [(LOST, True)]
    order = floor.approve()
    floor.run()
    floor.broker.add(replace(floor.broker.orders[order.client_order_id], **change))
    floor.run(seconds=20)
    assert len(floor.halts) == 1
    assert "another order" in floor.halts[0]
    assert floor.said(OrderFilled) == []
    assert floor.state.positions == {}


def test_a_status_never_seen_before_is_followed_until_it_is_known(floor: Floor) -> None:
    floor.broker.stubborn = True
    order = floor.entered()
    floor.broker.end(order.client_order_id, OrderStatus.UNKNOWN)
    floor.run(seconds=5)
    assert floor.state.orders[order.client_order_id].unknown_at is not None
    floor.broker.end(order.client_order_id, OrderStatus.CANCELED)
    floor.run(seconds=10)
    assert [said.ending for said in floor.said(OrderEnded)] == [Ending.CANCELED]


def test_an_overfill_halts_and_the_shares_are_booked_all_the_same(floor: Floor) -> None:
    floor.broker.stubborn = True
    order = floor.entered()
    floor.broker.fill(order.client_order_id, floor.broker.price.get("AAPL", order.limit_price), 5)
    floor.run(seconds=2)
    assert len(floor.halts) == 1
    assert floor.state.positions["AAPL"].qty == 5
    assert floor.said(ProtectionPlaced)[0].qty == 5


def test_a_fill_after_the_cancel_is_booked_when_it_is_seen(floor: Floor) -> None:
    floor.broker.shares["AAPL"] = 1
    order = floor.entered()
    assert floor.said(OrderEnded)[0].filled_qty == 1
    floor.broker.fill(order.client_order_id, order.limit_price, 1)
    floor.broker.end(order.client_order_id, OrderStatus.CANCELED)
    floor.reconcile()
    floor.run(seconds=2)
    assert [fill.cumulative_qty for fill in floor.said(OrderFilled)] == [1, 2]
    assert len(floor.said(OrderEnded)) == 2
    assert [placed.qty for placed in floor.said(ProtectionPlaced)] == [1, 2]
