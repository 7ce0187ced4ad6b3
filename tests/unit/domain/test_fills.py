"""Fill prices and costs, and that the kernels count the same in whole numbers."""

from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from services.research.engine import outcome_kernels, portfolio_kernels
from services.research.engine.outcomes import EXIT_REASONS
from services.research.engine.portfolio_kernels import Terms
from shared.domain.trading.fills import (
    SESSIONS_UNTIL_ENDED,
    Costs,
    ExitReason,
    bar_exit,
    exit_fill,
    fee,
    gap_exit,
    is_invalidated,
    limit_fill,
    with_slippage,
)
from shared.domain.trading.marketable_limit import limit_price
from shared.schemas.values import Direction, Side

D = Decimal

LONG, SHORT = Direction.LONG, Direction.SHORT
prices = st.decimals(D("0.01"), D(900_000), places=4)
rates = st.decimals(D(0), D(200), places=3)


@pytest.mark.parametrize(
    ("price", "side", "fill"),
    [
        ("100", "buy", "100.05"),
        ("100", "sell", "99.95"),
        ("90", "sell", "89.95"),
        ("80", "sell", "79.96"),
    ],
)
def test_slippage_goes_against_us_to_the_cent(price: str, side: str, fill: str) -> None:
    assert with_slippage(D(price), Side(side), D(5)) == D(fill)


@given(prices, rates)
def test_slippage_never_helps_and_costs_less_than_a_cent_more_than_its_rate(
    price: D, bps: D
) -> None:
    worse = price * bps / 10_000
    assert 0 <= with_slippage(price, Side.BUY, bps) - price - worse < D("0.01")
    assert 0 <= price - worse - with_slippage(price, Side.SELL, bps) < D("0.01")


@given(st.decimals(D("0.02"), D(900_000), places=4))
def test_an_own_limit_is_always_wide_enough_for_its_fill(opening: D) -> None:
    bought = limit_fill(
        opening, limit_price(opening, opening - D("0.01"), Side.BUY), Side.BUY, D(5)
    )
    sold = limit_fill(
        opening, limit_price(opening, opening - D("0.01"), Side.SELL), Side.SELL, D(5)
    )
    assert bought == with_slippage(opening, Side.BUY, D(5))
    assert sold == with_slippage(opening, Side.SELL, D(5))


def test_a_limit_that_is_not_reached_is_not_filled_and_a_tight_one_is_never_exceeded() -> None:
    assert limit_fill(D(100), D("99.99"), Side.BUY, D(5)) is None
    assert limit_fill(D(100), D("100.01"), Side.SELL, D(5)) is None
    assert limit_fill(D(100), D("100.01"), Side.BUY, D(5)) == D("100.01")
    assert limit_fill(D(100), D("99.99"), Side.SELL, D(5)) == D("99.99")


def test_a_long_bar_stops_first_then_reaches_its_target() -> None:
    assert bar_exit(D(100), D(121), D(89), D(90), D(120), LONG) == (D(90), ExitReason.STOP)
    assert bar_exit(D(100), D(121), D(91), D(90), D(120), LONG) == (D(120), ExitReason.TARGET)
    assert bar_exit(D(125), D(126), D(91), D(90), D(120), LONG) == (D(125), ExitReason.TARGET)
    assert bar_exit(D(100), D(121), D(91), D(90), None, LONG) is None
    assert bar_exit(D(100), D(119), D(91), D(90), D(120), LONG) is None


def test_a_short_bar_mirrors_it() -> None:
    assert bar_exit(D(100), D(111), D(79), D(110), D(80), SHORT) == (D(110), ExitReason.STOP)
    assert bar_exit(D(100), D(109), D(79), D(110), D(80), SHORT) == (D(80), ExitReason.TARGET)
    assert bar_exit(D(75), D(76), D(74), D(110), D(80), SHORT) == (D(75), ExitReason.TARGET)


def test_an_open_at_or_through_the_stop_is_a_gap() -> None:
    assert gap_exit(D(90), D(90), LONG) == D(90)
    assert gap_exit(D("90.01"), D(90), LONG) is None
    assert gap_exit(D(111), D(110), SHORT) == D(111)


def test_an_entry_is_invalidated_at_or_beyond_its_stop_or_target() -> None:
    assert [is_invalidated(D(o), D(90), D(120), LONG) for o in (90, 91, 119, 120)] == [
        True,
        False,
        False,
        True,
    ]
    assert [is_invalidated(D(o), D(110), D(80), SHORT) for o in (110, 109, 81, 80)] == [
        True,
        False,
        False,
        True,
    ]
    assert not is_invalidated(D(10_000), D(90), None, LONG)


def test_targets_and_adjustments_pay_no_slippage() -> None:
    assert exit_fill(D("120.019"), ExitReason.TARGET, LONG, Costs()) == D("120.01")
    assert exit_fill(D("79.991"), ExitReason.TARGET, SHORT, Costs()) == D("80.00")
    assert exit_fill(D(120), ExitReason.TARGET, LONG, Costs()) == D(120)
    assert exit_fill(D(100), ExitReason.ENDED, LONG, Costs()) == D(100)
    assert exit_fill(D(100), ExitReason.END_OF_DATA, LONG, Costs()) == D("99.95")
    assert exit_fill(D(100), ExitReason.STOP, SHORT, Costs()) == D("100.05")


def test_fees_are_off_by_default_fall_on_sales_and_round_up_once() -> None:
    assert fee(100, D(50), Side.SELL, Costs()) == 0
    on = Costs(commissions=True)
    assert fee(100, D(50), Side.BUY, on) == 0
    assert fee(100, D(50), Side.SELL, on) == D("0.16")  # 0.139 + 0.0166
    assert fee(
        100, D(50), Side.BUY, Costs(commissions=True, commission_per_share=D("0.0035"))
    ) == D("0.35")


@pytest.mark.parametrize(
    "wrong", [{"slippage_bps": D(-1)}, {"slippage_bps": D(10_000)}, {"sec_fee_rate": D(-1)}]
)
def test_senseless_costs_are_refused(wrong: dict[str, D]) -> None:
    with pytest.raises(ValueError, match=r"bps|negative"):
        Costs(**wrong)  # type: ignore[arg-type]


@settings(deadline=None)
@given(prices, rates, st.booleans())
def test_the_kernel_slips_to_the_same_cent(price: D, bps: D, buying: bool) -> None:
    cents = portfolio_kernels.slip(int(price.scaleb(4)), buying, int(bps.scaleb(3)))
    assert D(cents).scaleb(-2) == with_slippage(price, Side.BUY if buying else Side.SELL, bps)


@settings(deadline=None)
@given(st.integers(1, 100_000), st.decimals(D("0.01"), D(9_000), places=2), st.booleans())
def test_the_kernel_charges_the_same_fee(qty: int, price: D, buying: bool) -> None:
    costs = Costs(commissions=True, commission_per_share=D("0.0035"))
    terms = Terms(0, 0, 0, 0, 3_500_000, 3_500_000 + 166_000, 27_800, False)
    cents = portfolio_kernels.fees(qty, int(price.scaleb(2)), buying, terms)
    assert D(cents).scaleb(-2) == fee(qty, price, Side.BUY if buying else Side.SELL, costs)


def test_the_kernels_name_exits_as_the_fills_do() -> None:
    for name in ExitReason.__members__:
        assert EXIT_REASONS[getattr(outcome_kernels, name)] is ExitReason[name]
    assert outcome_kernels.SESSIONS_UNTIL_ENDED == SESSIONS_UNTIL_ENDED
