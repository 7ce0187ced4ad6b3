"""The life of one order, transition by transition."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec.structs import replace

from shared.domain.trading import orders
from shared.domain.trading.orders import Order, OrderView, apply, difference, status_of
from shared.schemas.values import Ending, OrderStatus, Purpose, Side
from tests.builders import NOON, SESSION

ORDER = Order(
    client_order_id="k81-a",
    decision_id="DEC",
    strategy="donchian",
    symbol="AAPL",
    side=Side.BUY,
    purpose=Purpose.ENTRY,
    qty=10,
    session=SESSION,
)


def view(**changes: Any) -> OrderView:
    values: dict[str, Any] = {
        "client_order_id": "k81-a",
        "broker_order_id": "b-1",
        "symbol": "AAPL",
        "side": Side.BUY,
        "qty": 10,
        "status": OrderStatus.NEW,
    }
    values |= changes
    for name in ("qty", "filled_qty"):
        values[name] = Decimal(values.get(name, 0))
    return OrderView(**values)


def after(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


ENDINGS = {
    "filled": Ending.FILLED,
    "canceled": Ending.CANCELED,
    "expired": Ending.EXPIRED,
    "rejected": Ending.REJECTED,
    "replaced": Ending.CANCELED,
}
IN_FLIGHT = [
    "new",
    "partially_filled",
    "done_for_day",
    "pending_cancel",
    "pending_replace",
    "accepted",
    "pending_new",
    "accepted_for_bidding",
    "stopped",
    "suspended",
    "calculated",
    "held",
]


@pytest.mark.parametrize(("word", "ending"), ENDINGS.items())
def test_a_terminal_status_ends_the_order(word: str, ending: Ending) -> None:
    applied = apply(ORDER, view(status=status_of(word)), at=NOON)
    assert applied.ended
    assert applied.order.ending is ending
    assert applied.order.look_at is None


@pytest.mark.parametrize("word", IN_FLIGHT)
def test_any_other_known_status_leaves_it_in_flight_and_polled(word: str) -> None:
    applied = apply(ORDER, view(status=status_of(word)), at=NOON)
    assert applied.order.rests
    assert applied.order.look_at is not None


@pytest.mark.parametrize(
    "word", ["", "brand_new_status", "unknown", "received", "sending", "abandoned", "NEW"]
)
def test_a_word_that_is_not_the_brokers_is_unknown_and_polled(word: str) -> None:
    applied = apply(ORDER, view(status=status_of(word)), at=NOON)
    assert applied.order.status is OrderStatus.UNKNOWN
    assert applied.order.unknown_at == NOON
    assert applied.order.live
    assert applied.order.look_at is not None


def test_fills_are_the_growth_of_what_the_broker_counts() -> None:
    first = apply(ORDER, view(filled_qty=4, average_price=Decimal("10.00")), at=NOON)
    second = apply(first.order, view(filled_qty=10, average_price=Decimal("10.06")), at=NOON)
    assert first.fill == orders.Fill(4, Decimal(10))
    assert second.fill == orders.Fill(6, Decimal("10.1"))
    assert second.order.average_price == Decimal("10.06")


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.decimals("0.01", "999.9999", places=4, allow_nan=False)),
        min_size=1,
        max_size=8,
    )
)
def test_all_fills_together_cost_what_the_broker_says(parts: list[tuple[int, Decimal]]) -> None:
    total = sum(qty for qty, _ in parts)
    order, filled, value, booked = replace(ORDER, qty=total), 0, Decimal(0), Decimal(0)
    for qty, price in parts:
        filled, value = filled + qty, value + qty * price
        applied = apply(
            order, view(qty=total, filled_qty=filled, average_price=value / filled), at=NOON
        )
        assert applied.fill is not None
        order, booked = applied.order, booked + applied.fill.qty * applied.fill.price
    assert abs(booked - value) < Decimal("0.000001")


def test_the_same_view_twice_fills_once() -> None:
    once = apply(ORDER, view(filled_qty=4, average_price=Decimal(10)), at=NOON)
    assert apply(once.order, view(filled_qty=4, average_price=Decimal(10)), at=NOON).fill is None


def test_a_count_that_falls_is_an_anomaly_and_changes_nothing() -> None:
    before = apply(ORDER, view(filled_qty=4, average_price=Decimal(10)), at=NOON).order
    applied = apply(before, view(filled_qty=3, average_price=Decimal(10)), at=NOON)
    assert applied.anomaly
    assert applied.order == before


def test_more_filled_than_ordered_is_an_anomaly_and_is_booked() -> None:
    applied = apply(
        ORDER, view(filled_qty=11, average_price=Decimal(10), status=OrderStatus.FILLED), at=NOON
    )
    assert "11 of 10" in applied.anomaly
    assert applied.fill == orders.Fill(11, Decimal(10))


def test_an_ended_order_stays_ended_and_a_late_fill_is_still_a_fill() -> None:
    ended = apply(ORDER, view(status=OrderStatus.CANCELED), at=NOON).order
    late = apply(
        ended, view(status=OrderStatus.NEW, filled_qty=2, average_price=Decimal(10)), at=NOON
    )
    assert late.fill == orders.Fill(2, Decimal(10))
    assert late.order.ending is Ending.CANCELED
    assert not late.ended


@pytest.mark.parametrize(
    "change",
    [{"symbol": "IBM"}, {"side": Side.SELL}, {"qty": 9}, {"qty": 11}, {"client_order_id": "k81-b"}],
)
def test_what_is_not_the_order_is_told_apart(change: dict[str, Any]) -> None:
    assert difference(ORDER, view(**change))
    assert not difference(ORDER, view())


def test_what_only_reduces_may_have_been_sent_for_fewer_shares_and_never_for_more() -> None:
    exit_ = replace(ORDER, purpose=Purpose.TIME_EXIT, side=Side.SELL)
    assert not difference(exit_, view(side=Side.SELL, qty=7))
    assert difference(exit_, view(side=Side.SELL, qty=11))
    seen = apply(exit_, view(side=Side.SELL, qty=7), at=NOON).order
    assert seen.qty == 7
    assert difference(seen, view(side=Side.SELL, qty=6))


def test_look_ups_come_at_half_a_second_then_one_two_four_and_eight() -> None:
    order, instants = orders.mark_unknown(ORDER, at=NOON), []
    for _ in range(6):
        assert order.look_at is not None
        instants.append((order.look_at - NOON).total_seconds())
        order = orders.look_later(order, at=order.look_at)
    assert instants == [0.5, 1.5, 3.5, 7.5, 15.5, 23.5]


@pytest.mark.parametrize(
    ("looks", "abandoned"),
    [
        ([16, 17], False),
        ([14, 15, 16], False),
        ([1, 2, 12], False),
        ([1, 6, 15], False),
        ([1, 6, 15.1], True),
        ([6, 10, 16.1], True),
    ],
)
def test_missing_is_final_only_after_three_times_ten_seconds_and_the_age_of_fifteen(
    looks: list[float], abandoned: bool
) -> None:
    order = orders.mark_unknown(ORDER, at=NOON)
    for seconds in looks:
        order = orders.count_miss(order, at=after(seconds))
    assert (order.status is OrderStatus.ABANDONED) is abandoned
    assert (order.ending is Ending.ABANDONED) is abandoned


def test_seeing_it_once_begins_the_count_of_misses_again() -> None:
    order = orders.count_miss(
        orders.count_miss(orders.mark_unknown(ORDER, at=NOON), at=after(1)), at=after(6)
    )
    seen = apply(order, view(), at=after(8)).order
    assert orders.count_miss(seen, at=after(16)).live


def test_a_resting_protection_is_not_polled_until_we_cancel_it() -> None:
    protection = replace(ORDER, purpose=Purpose.PROTECT)
    resting = apply(protection, view(), at=NOON).order
    assert resting.look_at is None
    canceled = apply(
        orders.mark_canceling(resting, at=NOON), view(status=OrderStatus.PENDING_CANCEL), at=NOON
    ).order
    assert canceled.look_at is not None
