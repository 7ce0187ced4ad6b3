"""What is held in one symbol and how a fill changes it. Pure; called by the book and by settlement."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.order import Order
from shared.schemas.values import Side, Value


class Position(Value, frozen=True, kw_only=True):
    """`qty` is negative for a short; `cost` is what was paid (or got) for what is left of it, always positive."""

    symbol: str
    qty: int
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


def after_fill(
    before: Position | None, order: Order, price: Decimal, qty: int, market: Decimal
) -> Position:
    """`market` is what the symbol is worth now. A fill never turns a long into a short or back: see permission."""
    signed = qty if order.side is Side.BUY else -qty
    if before is None:
        return Position(
            symbol=order.symbol,
            qty=signed,
            cost=qty * price,
            last_price=market,
            lastday_price=market,
        )
    adds = before.qty * signed > 0
    cost = before.cost + qty * price if adds else before.cost - qty * before.average_price
    return replace(before, qty=before.qty + signed, cost=cost)


def intent(held: int, side: Side) -> str:
    """Alpaca's `position_intent` of an order, seen from what is held when it comes."""
    closes = held < 0 if side is Side.BUY else held > 0
    return f"{side}_to_{'close' if closes else 'open'}"
