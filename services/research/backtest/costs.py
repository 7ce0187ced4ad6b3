"""What a result leaves at other costs, and the first level at which nothing is left. Pure."""

from collections.abc import Sequence

import msgspec

from services.research.engine import performance
from services.research.engine.performance import Floats

SLIPPAGE_LEVELS = ("0", "5", "10", "20")
"""Basis points: from free to what a bad day costs."""


class CostLevel(msgspec.Struct, frozen=True):
    slippage_bps: str
    total_return: float
    sharpe: float | None


def cost_level(bps: str, returns: Floats) -> CostLevel:
    return CostLevel(bps, performance.total_return(returns), performance.sharpe(returns))


def break_even(costs: Sequence[CostLevel]) -> str:
    """The first level at which nothing is left, as a sentence; empty if there is none."""
    failing = next((cost for cost in costs if cost.total_return <= 0), None)
    if failing is None:
        return ""
    if failing is costs[0]:
        return f"it loses money even at {failing.slippage_bps} bps of slippage."
    return f"the profit is gone at {failing.slippage_bps} bps of slippage."
