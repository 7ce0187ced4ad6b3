"""Rounding of signal prices, and parts of a table."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
from hypothesis import given, strategies as st

from shared.domain.market.signal_table import SignalTable, cents, signal_table


def table() -> SignalTable:
    values = np.array([1.0, 2.0, 3.0])
    return signal_table(
        row=np.array([0, 0, 1], np.int32),
        column=np.array([1, 2, 1], np.int32),
        side=np.ones(3, np.int8),
        close=values,
        stop=values / 2,
        target=None,
        score=values,
        indicators={"atr": values},
        time_stop_bars=5,
        reason="a reason",
    )


@given(st.integers(1, 10**10))
def test_a_price_of_four_decimals_is_rounded_half_even_as_on_paper(units: int) -> None:
    price = Decimal(units).scaleb(-4)
    expected = float(price.quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN))
    assert cents(np.array([float(price)]))[0] == expected


def test_a_difference_that_is_a_tie_on_paper_is_rounded_as_a_tie() -> None:
    assert cents(np.array([100.015 - 4.0, 100.005 - 4.0])).tolist() == [96.02, 96.0]


def test_no_target_stays_no_target() -> None:
    assert np.isnan(table().target).all()


def test_the_signals_of_one_session_keep_their_indicators() -> None:
    part = table().on(1)
    assert part.row.tolist() == [0, 1]
    assert part.indicators["atr"].tolist() == [1.0, 3.0]
    assert part.size == 2
