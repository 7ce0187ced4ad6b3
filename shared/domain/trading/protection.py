"""What it means that a position is protected.

One definition for executor, gauge, alert and console.

A living stop at the broker, for exactly the shares held, in today's price scale, on the side of the
market on which it loses. Pure.
"""

from collections.abc import Iterable
from decimal import Decimal

from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import Order
from shared.schemas.values import Purpose


def is_passed(stop: Decimal, qty: int, price: Decimal | None) -> bool:
    """Whether the market has gone through the stop of `qty` shares (negative: short) already."""
    if price is None:
        return False
    return price <= stop if qty > 0 else price >= stop


def is_living_stop(order: Order, held: HeldLots) -> bool:
    """Whether the order is a living stop of this position, at the price its plan now has.

    One from before the share was renamed is not.
    """
    return (
        order.purpose is Purpose.PROTECT
        and order.symbol == held.symbol
        and not order.former_symbol
        and order.rests
        and order.stop_lives
        and (order.protection is held.protection or order.protection == held.protection)
    )


def covers(order: Order, held: HeldLots) -> bool:
    """Whether the order is a living stop for exactly the shares held."""
    return is_living_stop(order, held) and order.remaining == abs(held.qty)


def is_protected(held: HeldLots, orders: Iterable[Order]) -> bool:
    plan = held.protection
    if plan is None or is_passed(plan.stop, held.qty, held.price):
        return False
    return any(covers(order, held) for order in orders)
