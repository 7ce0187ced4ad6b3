"""Raw bars and splits give today's shares: value is preserved, and only what is due is applied."""

import datetime as dt
from decimal import Decimal

import numpy as np

from shared.domain.market.adjustment import adjust_for_splits, effective_splits, split_factors
from shared.schemas.corporate_actions import Split
from tests.bar_rows import bar_rows

MONDAY = dt.date(2024, 1, 22)


def split(symbol: str, day: dt.date, new: int, old: int = 1) -> Split:
    return Split(symbol=symbol, ex_date=day, new=Decimal(new), old=Decimal(old))


def test_bars_before_the_ex_date_are_scaled_and_their_dollars_stay() -> None:
    bars = bar_rows({"A": 5, "B": 5}, start=MONDAY)
    adjusted = adjust_for_splits(bars, [split("A", dt.date(2024, 1, 24), 2)])
    assert np.allclose(adjusted.close[:2], bars.close[:2] / 2, atol=1e-4)
    assert adjusted.close[2:].tolist() == bars.close[2:].tolist()
    assert np.allclose(adjusted.close * adjusted.volume, bars.close * bars.volume, rtol=1e-3)


def test_several_splits_multiply_and_reverse_ones_divide() -> None:
    days = bar_rows({"A": 5}, start=MONDAY).session
    two, reverse = split("A", dt.date(2024, 1, 23), 2), split("A", dt.date(2024, 1, 25), 1, 10)
    assert split_factors(days, [two, reverse]).tolist() == [0.2, 0.1, 0.1, 1.0, 1.0]


def test_a_split_is_due_when_the_next_session_opens_with_it() -> None:
    friday = dt.date(2024, 1, 26)
    monday = split("A", dt.date(2024, 1, 29), 2)
    later = split("A", dt.date(2024, 1, 30), 2)
    assert effective_splits([monday, later], friday) == (monday,)


def test_prices_have_four_decimals() -> None:
    bars = adjust_for_splits(bar_rows({"A": 2}, start=MONDAY), [split("A", dt.date(2024, 2, 1), 3)])
    assert np.array_equal(np.round(bars.open, 4), bars.open)
