"""Sizes are whole shares, 0 is a refusal, and limits lie a tenth of a percent beyond the quote."""

from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from services.research.engine import portfolio_kernels
from services.research.engine.portfolio_kernels import BY_BUDGET, BY_CASH, BY_RISK, Terms
from shared.domain.risk.sizing import Sizing, SizingMethod, budget, cash_fraction, risk_fraction
from shared.domain.trading.marketable_limit import limit_price
from shared.schemas.values import Side

D = Decimal

cents = st.decimals(D("0.01"), D(1_000_000), places=2)
units = st.decimals(D("0.05"), D(9_000), places=4)
shares_of_one = st.decimals(D("0.000001"), D(1), places=6)


def test_the_research_default_buys_six_at_100_05() -> None:
    assert cash_fraction(D("0.007"), D(100_000), D("100.05")) == 6


@pytest.mark.parametrize(("each", "qty"), [("75.01", 0), ("75", 1), ("37.5", 2), ("25.01", 2)])
def test_a_budget_is_never_exceeded_and_never_rounded_up(each: str, qty: int) -> None:
    assert budget(D(75), D(each)) == qty


def test_risk_is_a_share_of_equity_over_the_way_to_the_stop_on_either_side() -> None:
    assert risk_fraction(D("0.01"), D(100_000), D(100), D(90)) == 100
    assert risk_fraction(D("0.01"), D(100_000), D(100), D(110)) == 100


def test_nothing_to_divide_or_to_divide_by_is_a_refusal() -> None:
    assert risk_fraction(D("0.01"), D(100_000), D(90), D(90)) == 0
    assert cash_fraction(D("0.007"), D(-5), D(10)) == 0
    assert budget(D(75), D(0)) == 0


@pytest.mark.parametrize(
    ("method", "value"), [("budget", 0), ("cash_fraction", "1.1"), ("risk_fraction", -1)]
)
def test_a_senseless_sizing_is_refused(method: str, value: str) -> None:
    with pytest.raises(ValueError, match=method):
        Sizing(SizingMethod(method), D(value))


def test_limits_round_away_from_the_quote() -> None:
    assert limit_price(D(100), D("99.99"), Side.BUY) == D("100.10")
    assert limit_price(D("10.01"), D(10), Side.BUY) == D("10.03")  # 10.02001
    assert limit_price(D("10.01"), D(10), Side.SELL) == D("9.99")
    assert limit_price(D("33.34"), D("33.33"), Side.SELL) == D("33.29")  # 33.29667


@settings(deadline=None)
@given(units, cents, cents, shares_of_one, units)
def test_the_kernel_sizes_alike(opening: D, cash: D, fill: D, value: D, stop: D) -> None:
    ints = (int(opening.scaleb(4)), int(fill.scaleb(2)), int(stop.scaleb(4)), int(cash.scaleb(2)))

    def kernel(method: int, number: int, side: int = 1) -> int:
        terms = Terms(0, method, number, 0, 0, 0, 0, True)
        return portfolio_kernels.size(
            terms, side, ints[0], ints[1], ints[2], ints[3], ints[3] * 100
        )

    assert kernel(BY_CASH, int(value.scaleb(6))) == cash_fraction(value, cash, fill)
    assert kernel(BY_RISK, int(value.scaleb(6))) == risk_fraction(value, cash, fill, stop)
    bid = opening - D("0.01")
    for side, way in ((1, Side.BUY), (-1, Side.SELL)):
        assert kernel(BY_BUDGET, ints[3], side) == budget(cash, limit_price(opening, bid, way))
