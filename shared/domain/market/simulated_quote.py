"""The quote of a simulated market: a cent wide below the price it trades at.

Called by the simulated broker and by the backtest's policy pass, so that both see the same quotes.
"""

import datetime as dt
from decimal import Decimal

from shared.schemas.fields import MAX_PRICE, MIN_PRICE
from shared.schemas.values import Quote

SPREAD = Decimal("0.01")


def simulated_quote(symbol: str, price: Decimal, *, at: dt.datetime) -> Quote | None:
    """Ask = the price, bid a cent below; None for a price that no share can have."""
    if not MIN_PRICE <= price <= MAX_PRICE:
        return None
    return Quote(symbol=symbol, bid=max(price - SPREAD, Decimal(0)), ask=price, at=at)
