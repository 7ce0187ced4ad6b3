"""Limit prices of our own orders: how far an immediate order may follow the quote.

Called by the risk-gate (which approves this price as the ceiling) and by the backtest's budget
sizing. It never looks at the market. A whole cent is a valid tick at every price.
"""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from shared.schemas.values import Side

CENT = Decimal("0.01")
BUY_FACTOR = Decimal("1.001")
SELL_FACTOR = Decimal("0.999")
"""A tenth of a percent: enough to fill when the quote moves a little, too little to hurt."""


def limit_price(ask: Decimal, bid: Decimal, side: Side) -> Decimal:
    """The limit beyond the quote, rounded away from it: ask up for a buy, bid down for a sell.

    A sale's limit is never below a cent: what trades for less must be able to leave too.
    """
    if side is Side.BUY:
        return (ask * BUY_FACTOR).quantize(CENT, ROUND_CEILING)
    return max((bid * SELL_FACTOR).quantize(CENT, ROUND_FLOOR), CENT)
