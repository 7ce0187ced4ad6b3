"""What is judged: one intent to trade, with all that rules may look at.

Made by the gate and by the policy pass of a backtest.
"""

import datetime as dt
from decimal import Decimal

from shared.schemas.fields import MAX_PRICE
from shared.schemas.values import Direction, Purpose, Quote, Reason, Side, Value


def quote_price(quote: Quote | None, side: Side) -> Decimal | None:
    """What an order would trade against: the ask to buy, the bid to sell; None if there is none."""
    if quote is None:
        return None
    price = quote.ask if side is Side.BUY else quote.bid
    return price if 0 < price <= MAX_PRICE else None


class Intent(Value, frozen=True, kw_only=True):
    """One exit or entry, sized and priced; `limit_price` and `quote` are None if it is unquoted.

    `session` is the one to trade in, `signal_session` the one whose close gave the signal, `now`
    business time (the slot's in a replay). `halted` says why nothing may be sent; `repeated`: it
    was tried and may not be again.
    """

    signal_id: str
    symbol: str
    strategy: str
    direction: Direction
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal | None
    quote: Quote | None
    stop: Decimal | None = None
    target: Decimal | None = None
    time_stop_bars: int = 0
    last_close: Decimal | None = None
    session: dt.date
    signal_session: dt.date
    last_completed: dt.date
    now: dt.datetime
    closes_at: dt.datetime
    halted: tuple[str, ...] = ()
    same_pin: bool = True
    in_universe: bool = True
    repeated: bool = False

    @property
    def opens(self) -> bool:
        """Whether it would take new exposure."""
        return self.purpose is Purpose.ENTRY

    @property
    def notional(self) -> Decimal:
        return self.qty * self.limit_price if self.limit_price is not None else Decimal(0)

    @property
    def quote_price(self) -> Decimal | None:
        return quote_price(self.quote, self.side)


class Denial(Value, frozen=True, kw_only=True):
    reason: Reason
    detail: str = ""
