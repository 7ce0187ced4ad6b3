"""Alpaca's orders: ours read strictly, others' only counted; and the bodies we send.

Used by the Alpaca adapter alone. Numbers come as strings; unknown and missing fields are normal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

import msgspec

from services.executor.brokers.alpaca.decoding import UnreadableReply, build, decode, decode_or_none
from services.executor.brokers.protocol import (
    Kind,
    OrderRequest,
)
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import ENDINGS, OrderView, status_of
from shared.schemas.envelope import canonical
from shared.schemas.values import OrderStatus, Side

TIME_IN_FORCE = {Kind.IMMEDIATE: "ioc", Kind.MARKET: "day"}
"""All else rests until it is filled or canceled; a market order waits at most for the next open."""


class _WireOrder(msgspec.Struct, frozen=True):
    id: str
    client_order_id: str
    symbol: str
    side: Side
    qty: Decimal
    status: str
    filled_qty: Decimal
    type: str | None = None
    filled_avg_price: Decimal | None = None
    filled_at: dt.datetime | None = None
    submitted_at: dt.datetime | None = None
    legs: list[_WireOrder] | None = None


class _Named(msgspec.Struct, frozen=True):
    client_order_id: str | None = None
    submitted_at: dt.datetime | None = None


class _Execution(msgspec.Struct, frozen=True):
    """What another's order has done to the position; of its legs the same."""

    side: Side
    filled_qty: Decimal
    client_order_id: str | None = None
    filled_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    legs: list[_Execution] | None = None


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of orders; `last` is the latest instant any of its `rows` was submitted.

    `unreadable` names orders of ours that make no sense.
    """

    ours: tuple[OrderView, ...]
    unreadable: tuple[str, ...]
    foreign: int
    rows: int
    last: dt.datetime | None


def body_of(request: OrderRequest) -> bytes:
    """The JSON of POST /v2/orders; canonical, so that its digest names the request."""
    order: dict[str, object] = {
        "client_order_id": request.client_order_id,
        "symbol": request.symbol,
        "side": request.side.value,
        "qty": str(request.qty),
        "time_in_force": TIME_IN_FORCE.get(request.kind, "gtc"),
    }
    if request.kind is Kind.IMMEDIATE:
        order |= {"type": "limit", "limit_price": str(request.limit_price)}
    elif request.kind is Kind.MARKET:
        order |= {"type": "market"}
    elif request.kind is Kind.STOP:
        order |= {"type": "stop", "stop_price": str(request.stop_price)}
    else:
        order |= {
            "type": "limit",
            "order_class": "oco",
            "take_profit": {"limit_price": str(request.limit_price)},
            "stop_loss": {"stop_price": str(request.stop_price)},
        }
    return canonical(order)


def read_order(body: bytes) -> OrderView:
    """Raises UnreadableReply."""
    return _view(decode(body, _WireOrder))


def read_orders(body: bytes) -> OrderPage:
    """Read our orders row by row; others' are only counted, whatever they look like.

    Raises UnreadableReply if the list itself makes no sense.
    """
    rows = decode(body, list[msgspec.Raw])
    named = [decode_or_none(row, _Named) or _Named() for row in rows]
    ours, unreadable = [], []
    for row, name in zip(rows, named, strict=True):
        if is_ours(name.client_order_id or ""):
            try:
                ours.append(read_order(bytes(row)))
            except UnreadableReply:
                unreadable.append(name.client_order_id or "")
    last = max((name.submitted_at for name in named if name.submitted_at), default=None)
    return OrderPage(
        ours=tuple(ours),
        unreadable=tuple(unreadable),
        foreign=len(rows) - len(ours) - len(unreadable),
        rows=len(rows),
        last=last,
    )


def read_foreign_executions(body: bytes, since: dt.datetime) -> Decimal:
    """Signed shares that orders of others filled after `since`; an unreadable row adds none."""
    rows = (decode_or_none(row, _Execution) for row in decode(body, list[msgspec.Raw]))
    foreign = [row for row in rows if row and not is_ours(row.client_order_id or "")]
    return sum((_signed_shares(row, since) for row in foreign), Decimal(0))


def _signed_shares(row: _Execution, since: dt.datetime) -> Decimal:
    at = row.filled_at or row.updated_at
    shares = row.filled_qty if at and at > since and row.filled_qty.is_finite() else Decimal(0)
    legs = sum((_signed_shares(leg, since) for leg in row.legs or ()), Decimal(0))
    return legs + (shares if row.side is Side.BUY else -shares)


def _view(order: _WireOrder) -> OrderView:
    """An OCO is its two halves: one is filled, or one still lives, or the order itself tells.

    The broker reduces one half by what the other has filled: the larger is the order's quantity.
    """
    halves = [order, *(order.legs or ())]
    deciding = _deciding(halves)
    filled = sum((_quantity(half.filled_qty) for half in halves), Decimal(0))
    value = sum((half.filled_qty * (half.filled_avg_price or 0) for half in halves), Decimal(0))
    status = status_of(deciding.status)
    if len(halves) > 1 and status is OrderStatus.HELD:
        status = OrderStatus.ACCEPTED
    return build(
        lambda: OrderView(
            client_order_id=order.client_order_id,
            broker_order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            qty=max(_quantity(half.qty) for half in halves),
            status=status,
            filled_qty=filled,
            average_price=value / filled if filled else None,
            stop_lives=any(_is_living_stop(half) for half in halves),
            filled_at=next((half.filled_at for half in halves if half.filled_qty), None),
            submitted_at=order.submitted_at,
            reported=deciding.status,
        )
    )


def _is_living_stop(half: _WireOrder) -> bool:
    return (half.type or "").startswith("stop") and status_of(half.status) not in ENDINGS


def _deciding(halves: Iterable[_WireOrder]) -> _WireOrder:
    def rank(half: _WireOrder) -> int:
        status = status_of(half.status)
        if status is OrderStatus.FILLED:
            return 0
        return 2 if status in ENDINGS else 1

    return min(halves, key=rank)


def _quantity(qty: Decimal) -> Decimal:
    if not qty.is_finite() or qty < 0:
        raise UnreadableReply(f"{qty} is not a number of shares")
    return qty
