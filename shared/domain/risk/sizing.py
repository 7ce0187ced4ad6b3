"""How many shares an intent is worth. Called by the risk-gate and the backtest's policy pass.

The kernels of research hold the same arithmetic in whole numbers. A size of 0 is an explicit
refusal and is never rounded up to 1. It never asks whether there is enough cash.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


class SizingMethod(StrEnum):
    CASH_FRACTION = "cash_fraction"
    BUDGET = "budget"
    RISK_FRACTION = "risk_fraction"


@dataclass(frozen=True, slots=True)
class Sizing:
    """A method and its one number: a fraction of cash or equity, or dollars per order."""

    method: SizingMethod = SizingMethod.CASH_FRACTION
    value: Decimal = Decimal("0.007")

    def __post_init__(self) -> None:
        if self.value <= 0:
            raise ValueError(f"sizing by {self.method} needs a number above 0, not {self.value}")
        if self.method is not SizingMethod.BUDGET and self.value > 1:
            raise ValueError(f"{self.method} is a share between 0 and 1, not {self.value}")


def budget(per_order: Decimal, limit: Decimal) -> int:
    """Shares that `per_order` dollars buy at the limit price."""
    return _whole(per_order, limit)


def cash_fraction(fraction: Decimal, cash: Decimal, price: Decimal) -> int:
    """Shares that a fraction of the current cash buys at the fill price."""
    return _whole(fraction * cash, price)


def risk_fraction(fraction: Decimal, equity: Decimal, price: Decimal, stop: Decimal) -> int:
    """Shares whose loss between fill price and stop is a fraction of equity (the last mark)."""
    return _whole(fraction * equity, abs(price - stop))


def _whole(money: Decimal, each: Decimal) -> int:
    """Whole shares, or 0; never a share more than the money allows."""
    if each <= 0 or money <= 0:
        return 0
    return int(money // each)
