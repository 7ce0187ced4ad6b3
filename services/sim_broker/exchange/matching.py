"""Which price an order gets, if any: when it arrives, at an open, during a bar. Pure; every fill is fills.py's.

Called by the exchange, which alone knows the book and the money.
"""

from __future__ import annotations

from decimal import Decimal

from services.sim_broker.exchange.order import Order, OrderType, closed_by
from shared.domain.trading.fills import (
    Costs,
    ExitReason,
    bar_exit,
    exit_fill,
    gap_exit,
    limit_fill,
    with_slippage,
)
from shared.schemas.values import Bar, Direction

_NEVER_STOPS = {Direction.LONG: Decimal("-Infinity"), Direction.SHORT: Decimal("Infinity")}
Match = tuple[Order, Decimal]
"""The order that fills (of an OCO: which of the two) and its price."""


def on_arrival(order: Order, leg: Order | None, price: Decimal, costs: Costs) -> Match | None:
    """Against the one price the market shows now."""
    through = _gapped(order, leg, price, costs)
    if through or order.type is OrderType.STOP:
        return through
    if order.limit_price is None:
        return order, with_slippage(price, order.side, costs.slippage_bps)
    fill = limit_fill(price, order.limit_price, order.side, costs.slippage_bps)
    return (order, fill) if fill is not None else None


def at_open(order: Order, leg: Order | None, bar: Bar, costs: Costs) -> Match | None:
    """Stops the night has gapped through, and what was queued for the market; a limit waits for the bar."""
    if order.type is OrderType.MARKET:
        return order, with_slippage(bar.open, order.side, costs.slippage_bps)
    return _gapped(order, leg, bar.open, costs)


def in_bar(order: Order, leg: Order | None, bar: Bar, costs: Costs) -> Match | None:
    """The stop first, else the target or resting limit."""
    if order.type is OrderType.MARKET:
        return None
    direction = closed_by(order.side)
    stopping = _stopping(order, leg)
    stop = (
        stopping.stop_price
        if stopping and stopping.stop_price is not None
        else _NEVER_STOPS[direction]
    )
    found = bar_exit(bar.open, bar.high, bar.low, stop, order.limit_price, direction)
    if not found:
        return None
    price, reason = found
    filled = stopping if reason is ExitReason.STOP and stopping else order
    return filled, exit_fill(price, reason, direction, costs)


def _gapped(order: Order, leg: Order | None, price: Decimal, costs: Costs) -> Match | None:
    stopping = _stopping(order, leg)
    if stopping is None or stopping.stop_price is None:
        return None
    direction = closed_by(order.side)
    gap = gap_exit(price, stopping.stop_price, direction)
    return (
        (stopping, exit_fill(gap, ExitReason.GAPPED_STOP, direction, costs))
        if gap is not None
        else None
    )


def _stopping(order: Order, leg: Order | None) -> Order | None:
    """The one of the two that is a stop."""
    return order if order.type is OrderType.STOP else leg
