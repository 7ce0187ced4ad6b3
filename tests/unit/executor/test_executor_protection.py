"""Every position keeps its stop.

Passed, refused, dead, canceled by others, hit in part, or unclear.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.brokers.protocol import Kind, SubmitAnswer, SubmitResult
from services.executor.orders.state import unprotected_symbols
from shared.schemas.messages import (
    OrderEnded,
    OrderFilled,
    OrderSubmitted,
    ProtectionPlaced,
    ReconcileRequested,
    ScanExecuted,
)
from shared.schemas.values import Ending, OrderStatus, Protection, Purpose, Side, Stage
from tests.unit.executor.floor import Floor

NO = (SubmitAnswer(SubmitResult.REJECTED, "422 stop price must be below the market"), False)
LATER = (
    SubmitAnswer(SubmitResult.REJECTED, "403 insufficient qty available", passes=True),
    False,
)
LOST = SubmitAnswer(SubmitResult.UNKNOWN, "no answer")


def kinds(floor: Floor) -> list[Kind]:
    return [request.kind for request in floor.broker.posts]


def stop(floor: Floor) -> str:
    return floor.said(ProtectionPlaced)[-1].client_order_id


def entered_refusing(floor: Floor, *answers: tuple[SubmitAnswer, bool]) -> None:
    """An entry whose protections are answered so, one after the other."""
    floor.broker.script = [
        (SubmitAnswer(SubmitResult.UNKNOWN, "the entry's answer is lost"), True),
        *answers,
    ]
    floor.approve()
    floor.decide(1)
    floor.run(seconds=1)


# --- refused --------------------------------------------------------------------------------------


def test_a_refused_stop_and_target_becomes_a_stop(floor: Floor) -> None:
    entered_refusing(floor, NO)
    assert kinds(floor) == [Kind.IMMEDIATE, Kind.STOP_AND_TARGET, Kind.STOP]
    assert unprotected_symbols(floor.state) == []
    assert floor.halts == []
    assert len(floor.said(ScanExecuted)) == 1


def test_a_stop_refused_too_is_sold_at_the_market_at_once(floor: Floor) -> None:
    entered_refusing(floor, NO, NO)
    floor.run(seconds=2)
    assert kinds(floor) == [Kind.IMMEDIATE, Kind.STOP_AND_TARGET, Kind.STOP, Kind.MARKET]
    assert floor.state.positions == {}
    assert floor.broker.held_shares == {}
    sold = floor.said(OrderFilled)[-1]
    assert (sold.purpose, sold.qty) == (Purpose.PROTECT, 3)
    assert floor.halts == []
    assert len(floor.said(ScanExecuted)) == 1


def test_what_the_broker_refuses_three_times_halts_and_is_not_sent_again_by_itself(
    floor: Floor,
) -> None:
    entered_refusing(floor, NO, NO, NO)
    floor.run(seconds=3600)
    assert kinds(floor)[1:] == [Kind.STOP_AND_TARGET, Kind.STOP, Kind.MARKET]
    assert len(floor.halts) == 1
    assert "neither protected nor sold" in floor.halts[0]
    assert unprotected_symbols(floor.state) == ["AAPL"]
    assert len(floor.said(ScanExecuted)) == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_new_stage_or_the_operator_lets_it_be_tried_once_more(
    floor: Floor, by_hand: bool
) -> None:
    entered_refusing(floor, NO, NO, NO)
    floor.run(seconds=60)
    if by_hand:
        floor.hear(ReconcileRequested(by="me"))
    else:
        floor.reconcile(Stage.OPEN)
    floor.run(seconds=5)
    assert kinds(floor)[-1] is Kind.MARKET
    assert floor.state.positions == {}


def test_a_refusal_that_passes_is_tried_again_after_pauses_that_grow(floor: Floor) -> None:
    entered_refusing(floor, *[LATER] * 50)
    posts = []
    for _ in range(600):
        floor.run(seconds=1)
        posts.append(len(floor.broker.posts) - 1)
    assert posts[0] <= 3
    assert 7 <= posts[-1] <= 12
    assert len(floor.halts) == 1
    floor.broker.script.clear()
    floor.run(seconds=301)
    assert unprotected_symbols(floor.state) == []


# --- passed ---------------------------------------------------------------------------------------


def lose_the_stop(floor: Floor, price: str) -> None:
    """The broker ends the stop by itself while the market goes to `price`."""
    floor.broker.price["AAPL"] = Decimal(price)
    floor.broker.end(stop(floor), OrderStatus.CANCELED)
    floor.reconcile()


def test_a_stop_the_market_has_passed_is_an_exit_now_even_during_a_kill(floor: Floor) -> None:
    floor.entered()
    floor.latch.halt("enough")
    lose_the_stop(floor, "169.99")
    floor.run(seconds=2)
    assert kinds(floor) == [Kind.IMMEDIATE, Kind.STOP_AND_TARGET, Kind.MARKET]
    assert floor.state.positions == {}
    assert floor.said(OrderFilled)[-1].price == Decimal("169.99")
    submitted = floor.said(OrderSubmitted)[-1]
    assert (submitted.purpose, submitted.limit_price) == (Purpose.PROTECT, None)


def test_a_stop_the_market_has_not_passed_is_placed_again(floor: Floor) -> None:
    floor.entered()
    lose_the_stop(floor, "170.01")
    assert kinds(floor) == [Kind.IMMEDIATE, Kind.STOP_AND_TARGET, Kind.STOP_AND_TARGET]


def test_a_resting_stop_on_the_wrong_side_of_the_market_does_not_count_as_protection(
    floor: Floor,
) -> None:
    floor.entered()
    floor.broker.price["AAPL"] = Decimal("169.00")
    floor.reconcile()
    assert unprotected_symbols(floor.state) == ["AAPL"]
    floor.broker.price["AAPL"] = Decimal("171.00")
    floor.reconcile()
    assert unprotected_symbols(floor.state) == []


# --- ended by others ---


def test_protections_the_broker_ends_again_and_again_end_in_a_sale_and_a_halt(
    floor: Floor,
) -> None:
    floor.entered()
    for _ in range(20):
        if floor.state.positions:
            floor.broker.end(stop(floor), OrderStatus.CANCELED)
            floor.hear(ReconcileRequested(by="me"))
            floor.run(seconds=5)
    assert kinds(floor)[1:] == [
        Kind.STOP_AND_TARGET,
        Kind.STOP_AND_TARGET,
        Kind.STOP,
        Kind.MARKET,
    ]
    assert floor.state.positions == {}
    assert len(floor.halts) == 1


def test_a_protection_that_stood_for_a_day_begins_a_new_count(floor: Floor) -> None:
    floor.entered()
    for _ in range(5):
        floor.open_later(days=1)
        floor.broker.end(stop(floor), OrderStatus.EXPIRED)
        floor.reconcile()
        floor.run(seconds=2)
    assert set(kinds(floor)[1:]) == {Kind.STOP_AND_TARGET}
    assert floor.halts == []


def test_a_dead_stop_beside_a_living_target_is_no_protection_and_is_replaced(
    floor: Floor,
) -> None:
    floor.entered()
    name = stop(floor)
    floor.broker.orders[name] = replace(floor.broker.orders[name], stop_lives=False)
    floor.reconcile()
    assert floor.broker.orders[name].status is OrderStatus.CANCELED
    assert len(floor.said(ProtectionPlaced)) == 2
    assert unprotected_symbols(floor.state) == []


def test_a_stop_hit_in_part_stays_for_the_rest(floor: Floor) -> None:
    floor.entered()
    floor.broker.fill(stop(floor), Decimal(170), 2)
    floor.reconcile()
    assert floor.state.positions["AAPL"].qty == 1
    assert len(floor.broker.posts) == 2
    assert floor.broker.orders[stop(floor)].status is OrderStatus.PARTIALLY_FILLED
    floor.broker.price["AAPL"] = Decimal(175)
    floor.reconcile()
    assert unprotected_symbols(floor.state) == []
    floor.broker.fill(stop(floor), Decimal(170))
    floor.reconcile()
    assert floor.state.positions == {}


# --- waits have a clock ---


def test_a_cancel_that_hangs_is_asked_for_ever_more_seldom_and_halts_once(floor: Floor) -> None:
    floor.entered()
    floor.broker.stubborn = True
    floor.broker.end(stop(floor), OrderStatus.PENDING_CANCEL)
    floor.approve_exit(qty=3, expires_at=floor.clock.now() + dt.timedelta(hours=8))
    floor.run(seconds=120)
    assert len(floor.halts) == 1
    assert "asked to end" in floor.halts[0]
    before = floor.broker.requests_made
    floor.run(seconds=600)
    assert floor.broker.requests_made - before <= 40


def test_an_entry_that_does_not_end_is_canceled_and_what_it_filled_protected(
    floor: Floor,
) -> None:
    floor.broker.stubborn = True
    order = floor.entered()
    floor.broker.fill(order.client_order_id, Decimal("180.10"), 2)
    floor.run(seconds=5)
    assert [placed.qty for placed in floor.said(ProtectionPlaced)] == [2]
    floor.broker.stubborn = False
    floor.run(seconds=20)
    assert floor.broker.orders[order.client_order_id].status is OrderStatus.CANCELED
    assert [said.filled_qty for said in floor.said(OrderEnded)] == [2]


def test_an_entry_that_never_ends_halts_after_a_minute(floor: Floor) -> None:
    floor.broker.stubborn = True
    floor.entered()
    floor.run(seconds=70)
    assert len(floor.halts) == 1


def test_an_exit_nobody_finds_leaves_nothing_bare(floor: Floor) -> None:
    floor.entered()
    exit_ = floor.approve_exit(qty=3)
    floor.broker.script = [(LOST, False)]
    floor.run(seconds=5)
    assert floor.posts(exit_.client_order_id) == 1
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1, 2]
    assert unprotected_symbols(floor.state) == []
    floor.run(seconds=15)
    ends = {said.client_order_id: said.ending for said in floor.said(OrderEnded)}
    assert ends[exit_.client_order_id] is Ending.ABANDONED


# --- sent again under the same id ---


def test_a_protection_the_broker_never_took_is_sent_again_under_its_id_after_one_404(
    floor: Floor,
) -> None:
    floor.approve()
    floor.broker.script = [(LOST, True), (LOST, False)]
    floor.run(seconds=3)
    first = floor.broker.posts[1]
    assert floor.broker.posts[1:] == [first, first]
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1]


def test_a_protection_that_appears_late_is_adopted_and_stands_once(floor: Floor) -> None:
    floor.broker.script = [(LOST, True), (LOST, True)]
    floor.approve()
    floor.run(seconds=0.75)
    floor.broker.hidden |= {
        name
        for name, request in floor.broker.requests.items()
        if request.kind is not Kind.IMMEDIATE
    }
    floor.run(seconds=6)
    name = floor.broker.posts[1].client_order_id
    assert 2 <= floor.posts(name) <= 5
    floor.broker.hidden.clear()
    floor.run(seconds=10)
    assert [placed.client_order_id for placed in floor.said(ProtectionPlaced)] == [name]
    assert len(floor.broker.orders) == 2
    assert floor.halts == []


def test_after_a_crash_before_its_post_a_protection_stands_within_three_seconds(
    floor: Floor,
) -> None:
    floor.broker.script = [(LOST, True)]
    floor.approve()
    claim = floor.journal.claim

    def claim_and_die(key: str, *args: object, **kwargs: object) -> bool:
        claimed = claim(key, *args, **kwargs)  # type: ignore[arg-type]
        if "/" in key:
            raise SystemExit
        return claimed

    floor.journal.claim = claim_and_die  # type: ignore[method-assign, assignment]
    with pytest.raises(SystemExit):
        floor.run(seconds=5)
    assert len(floor.broker.posts) == 1
    died = floor.clock.elapsed
    floor.restart()
    assert floor.clock.elapsed - died <= 3
    assert unprotected_symbols(floor.state) == []
    assert [placed.counter for placed in floor.said(ProtectionPlaced)] == [1]


def test_a_short_position_is_guarded_the_other_way_round(floor: Floor) -> None:
    plan = Protection(stop=Decimal("190.00"), target=Decimal("160.00"), time_stop_bars=5)
    floor.entered(side=Side.SELL, limit_price=Decimal("179.90"), protection=plan)
    assert floor.state.positions["AAPL"].qty == -3
    assert unprotected_symbols(floor.state) == []
    lose_the_stop(floor, "190.01")
    floor.run(seconds=2)
    assert kinds(floor)[-1] is Kind.MARKET
    assert floor.state.positions == {}
