"""The price at which an order fills, if any: on arrival, at the open, during the bar.

Called by the exchange. Pure; every price comes from shared/domain/trading/fills.py.
"""

from decimal import Decimal

from services.sim_broker.exchange.order import BrokerOrder, OrderType, closing_direction
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
Match = tuple[BrokerOrder, Decimal]
"""The order that fills (of an OCO: which half) and its price."""


def match_on_arrival(
    order: BrokerOrder, leg: BrokerOrder | None, price: Decimal, costs: Costs
) -> Match | None:
    """Match against the one price the market shows now."""
    through = _gap_match(order, leg, price, costs)
    if through or order.type is OrderType.STOP:
        return through
    if order.limit_price is None:
        return order, with_slippage(price, order.side, costs.slippage_bps)
    fill = limit_fill(price, order.limit_price, order.side, costs.slippage_bps)
    return (order, fill) if fill is not None else None


def match_at_open(
    order: BrokerOrder, leg: BrokerOrder | None, bar: Bar, costs: Costs
) -> Match | None:
    """Match market orders and gapped stops at the open; a limit waits for the bar."""
    if order.type is OrderType.MARKET:
        return order, with_slippage(bar.open, order.side, costs.slippage_bps)
    return _gap_match(order, leg, bar.open, costs)


def match_in_bar(
    order: BrokerOrder, leg: BrokerOrder | None, bar: Bar, costs: Costs
) -> Match | None:
    """Match against the bar: the stop first, else the target or resting limit."""
    if order.type is OrderType.MARKET:
        return None
    direction = closing_direction(order.side)
    stop_half = _stop_half(order, leg)
    stop = (
        stop_half.stop_price
        if stop_half and stop_half.stop_price is not None
        else _NEVER_STOPS[direction]
    )
    hit = bar_exit(bar.open, bar.high, bar.low, stop, order.limit_price, direction)
    if not hit:
        return None
    price, reason = hit
    filled = stop_half if reason is ExitReason.STOP and stop_half else order
    return filled, exit_fill(price, reason, direction, costs)


def _gap_match(
    order: BrokerOrder, leg: BrokerOrder | None, price: Decimal, costs: Costs
) -> Match | None:
    stop_half = _stop_half(order, leg)
    if stop_half is None or stop_half.stop_price is None:
        return None
    direction = closing_direction(order.side)
    gap = gap_exit(price, stop_half.stop_price, direction)
    return (
        (stop_half, exit_fill(gap, ExitReason.GAPPED_STOP, direction, costs))
        if gap is not None
        else None
    )


def _stop_half(order: BrokerOrder, leg: BrokerOrder | None) -> BrokerOrder | None:
    """The half of an OCO that is a stop; a plain stop itself; None for a plain limit."""
    if order.type is OrderType.STOP:
        return order
    return leg if leg and leg.is_open else None
