"""Lots, first in, first out, and what closing them brings."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, strategies as st

from shared.domain.errors import InvariantBroken
from shared.domain.trading.ledger import Lot, book
from tests.builders import SESSION


def lots(*parts: tuple[int, str]) -> tuple[Lot, ...]:
    return tuple(Lot(qty=qty, price=Decimal(price), session=SESSION) for qty, price in parts)


@pytest.mark.parametrize(
    ("before", "qty", "price", "after", "realised"),
    [
        ((), 5, "10", [(5, "10")], "0"),
        ([(5, "10")], 3, "12", [(5, "10"), (3, "12")], "0"),
        ([(5, "10"), (3, "12")], -4, "11", [(1, "10"), (3, "12")], "4"),
        ([(5, "10"), (3, "12")], -6, "11", [(2, "12")], "4"),
        ([(5, "10"), (3, "12")], -8, "9", [], "-14"),
        ([(5, "10")], -7, "11", [(-2, "11")], "5"),
        ((), -5, "10", [(-5, "10")], "0"),
        ([(-5, "10")], 2, "9", [(-3, "10")], "2"),
        ([(-5, "10")], 6, "12", [(1, "12")], "-10"),
    ],
)
def test_opposite_lots_are_closed_oldest_first(
    before: list[tuple[int, str]], qty: int, price: str, after: list[tuple[int, str]], realised: str
) -> None:
    booked = book(lots(*before), qty=qty, price=Decimal(price), session=SESSION)
    assert booked.lots == lots(*after)
    assert booked.realised == Decimal(realised)


@pytest.mark.parametrize(("qty", "price"), [(0, "10"), (1, "-1")])
def test_what_cannot_be_a_trade_is_refused(qty: int, price: str) -> None:
    with pytest.raises(InvariantBroken):
        book((), qty=qty, price=Decimal(price), session=SESSION)


@given(
    st.lists(
        st.tuples(
            st.integers(-20, 20).filter(bool), st.decimals("0.01", "500", places=2, allow_nan=False)
        ),
        max_size=20,
    )
)
def test_profit_and_lots_account_for_every_dollar(trades: list[tuple[int, Decimal]]) -> None:
    held: tuple[Lot, ...] = ()
    realised, paid, net = Decimal(0), Decimal(0), 0
    for qty, price in trades:
        booked = book(held, qty=qty, price=price, session=SESSION)
        held, realised = booked.lots, realised + booked.realised
        paid, net = paid + qty * price, net + qty
    assert sum(lot.qty for lot in held) == net
    assert len({lot.qty > 0 for lot in held}) <= 1
    assert sum((lot.qty * lot.price for lot in held), Decimal(0)) - realised == paid
