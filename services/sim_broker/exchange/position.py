"""The position in one symbol and how a fill changes it. Pure; called by book and settlement."""

from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.order import BrokerOrder
from shared.schemas.values import Side, Value


class AccountPosition(Value, frozen=True, kw_only=True):
    """`qty` is negative for a short; `cost` is what the remaining shares cost (or brought), > 0."""

    symbol: str
    qty: Decimal
    cost: Decimal
    last_price: Decimal
    lastday_price: Decimal
    sessions_absent: int = 0

    @property
    def market_value(self) -> Decimal:
        return self.qty * self.last_price

    @property
    def average_price(self) -> Decimal:
        return self.cost / abs(self.qty) if self.qty else Decimal(0)


def apply_fill(
    before: AccountPosition | None,
    order: BrokerOrder,
    price: Decimal,
    qty: Decimal,
    market: Decimal,
) -> AccountPosition:
    """The position after a fill; `market` is the symbol's present price.

    Only a trade by hand turns a long into a short or back: account_rules.py refuses such orders.
    """
    signed = qty if order.side is Side.BUY else -qty
    if before is None:
        return AccountPosition(
            symbol=order.symbol,
            qty=signed,
            cost=qty * price,
            last_price=market,
            lastday_price=market,
        )
    adds = before.qty * signed > 0
    if not adds and abs(signed) > abs(before.qty):
        left = before.qty + signed
        return replace(before, qty=left, cost=abs(left) * price, last_price=market)
    cost = before.cost + qty * price if adds else before.cost - qty * before.average_price
    return replace(before, qty=before.qty + signed, cost=cost)


def position_intent(held: Decimal, side: Side) -> str:
    """Alpaca's `position_intent` of an order, given the shares held when it arrives."""
    closes = held < 0 if side is Side.BUY else held > 0
    return f"{side}_to_{'close' if closes else 'open'}"
