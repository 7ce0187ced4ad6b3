"""Alpaca's JSON: strict about our orders, tolerant about others'; and the bodies we send.

Used by the Alpaca adapter alone. Numbers come as strings; unknown and missing fields are normal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from services.executor.brokers.protocol import (
    AccountView,
    BrokerClock,
    Kind,
    OrderRequest,
    PositionList,
    PositionView,
)
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import ENDINGS, OrderView, status_of
from shared.schemas.envelope import canonical
from shared.schemas.values import OrderStatus, Side, TradingSession

T = TypeVar("T")
NEW_YORK = ZoneInfo("America/New_York")
TIME_IN_FORCE = {Kind.IMMEDIATE: "ioc", Kind.MARKET: "day"}
"""All else rests until it is filled or canceled; a market order waits at most for the next open."""
NAMELESS = "?"  # an unreadable row without even a symbol
PAPER_PREFIX = "PA"  # how Alpaca numbers paper accounts


class Unreadable(ValueError):
    """A body that is not what its address promises."""


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


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of orders; `last` is the latest instant any of its `rows` was submitted.

    `unreadable` names orders of ours that make no sense.
    """

    ours: tuple[OrderView, ...]
    unreadable: tuple[str, ...]
    foreign: int
    rows: int
    last: dt.datetime | None


class _WirePosition(msgspec.Struct, frozen=True):
    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    side: str = "long"
    current_price: Decimal | None = None
    asset_id: str | None = None


class _Symbol(msgspec.Struct, frozen=True):
    symbol: str


class _WireAccount(msgspec.Struct, frozen=True):
    account_number: str
    cash: Decimal
    buying_power: Decimal
    equity: Decimal | None = None
    portfolio_value: Decimal | None = None
    status: str = "ACTIVE"
    trading_blocked: bool = False
    account_blocked: bool = False
    trade_suspended_by_user: bool = False


class _WireClock(msgspec.Struct, frozen=True):
    timestamp: dt.datetime
    is_open: bool


class _WireDay(msgspec.Struct, frozen=True):
    """A session with its hours as New York wall times, HH:MM."""

    date: dt.date
    open: str
    close: str


class WireError(msgspec.Struct, frozen=True):
    code: int = 0
    message: str = ""


def body_of(request: OrderRequest) -> bytes:
    """The JSON of POST /v2/orders; canonical, so that its digest names the request."""
    order: dict[str, Any] = {
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


def _decode(body: bytes, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error


def read_order(body: bytes) -> OrderView:
    """Raises Unreadable."""
    return _view(_decode(body, _WireOrder))


def read_orders(body: bytes) -> Page:
    """Read our orders row by row; others' are only counted, whatever they look like.

    Raises Unreadable if the list itself makes no sense.
    """
    rows = _decode(body, list[msgspec.Raw])
    named = [_tolerant(row, _Named) or _Named() for row in rows]
    ours, unreadable = [], []
    for row, name in zip(rows, named, strict=True):
        if is_ours(name.client_order_id or ""):
            try:
                ours.append(read_order(bytes(row)))
            except Unreadable:
                unreadable.append(name.client_order_id or "")
    last = max((name.submitted_at for name in named if name.submitted_at), default=None)
    return Page(
        ours=tuple(ours),
        unreadable=tuple(unreadable),
        foreign=len(rows) - len(ours) - len(unreadable),
        rows=len(rows),
        last=last,
    )


def read_foreign_executions(body: bytes, since: dt.datetime) -> Decimal:
    """Signed shares that orders of others filled after `since`; a row that makes no sense adds none."""
    rows = (_tolerant(row, _Execution) for row in _decode(body, list[msgspec.Raw]))
    foreign = [row for row in rows if row and not is_ours(row.client_order_id or "")]
    return sum((_signed_shares(row, since) for row in foreign), Decimal(0))


def _signed_shares(row: _Execution, since: dt.datetime) -> Decimal:
    at = row.filled_at or row.updated_at
    shares = row.filled_qty if at and at > since and row.filled_qty.is_finite() else Decimal(0)
    legs = sum((_signed_shares(leg, since) for leg in row.legs or ()), Decimal(0))
    return legs + (shares if row.side is Side.BUY else -shares)


def _tolerant(row: msgspec.Raw, type_: type[T]) -> T | None:
    try:
        return _decode(bytes(row), type_)
    except Unreadable:
        return None


def read_positions(body: bytes) -> PositionList:
    """Read positions row by row; one that makes no sense is named and costs no other."""
    found, unreadable = [], []
    for row in _decode(body, list[msgspec.Raw]):
        try:
            found.append(read_position(bytes(row)))
        except Unreadable:
            name = _tolerant(row, _Symbol)
            unreadable.append(name.symbol if name else NAMELESS)
    return PositionList(rows=tuple(found), unreadable=tuple(unreadable))


def read_position(body: bytes) -> PositionView:
    """Raises Unreadable."""
    row = _decode(body, _WirePosition)
    qty = -abs(row.qty) if row.side == "short" else row.qty
    return _build(
        lambda: PositionView(
            symbol=row.symbol,
            qty=qty,
            average_price=row.avg_entry_price,
            mark=row.current_price,
            asset=row.asset_id or "",
        )
    )


def read_account(body: bytes) -> AccountView:
    row = _decode(body, _WireAccount)
    equity = row.equity if row.equity is not None else row.portfolio_value
    if equity is None:
        raise Unreadable("the account has no equity")
    blocked = (
        row.trading_blocked
        or row.account_blocked
        or row.trade_suspended_by_user
        or row.status != "ACTIVE"
    )
    return _build(
        lambda: AccountView(
            number=row.account_number,
            cash=row.cash,
            equity=equity,
            buying_power=row.buying_power,
            blocked=blocked,
            paper=row.account_number.startswith(PAPER_PREFIX),
        )
    )


def read_clock(body: bytes) -> BrokerClock:
    row = _decode(body, _WireClock)
    if row.timestamp.tzinfo is None:
        raise Unreadable("the clock has no time zone")
    return BrokerClock(at=row.timestamp.astimezone(dt.UTC), is_open=row.is_open)


def read_calendar(body: bytes) -> tuple[TradingSession, ...]:
    rows = _decode(body, list[_WireDay])
    return _build(lambda: tuple(_session(row) for row in rows))


def _session(row: _WireDay) -> TradingSession:
    opens_at, closes_at = (
        dt.datetime.combine(row.date, dt.time.fromisoformat(text), NEW_YORK).astimezone(dt.UTC)
        for text in (row.open, row.close)
    )
    return TradingSession(session=row.date, opens_at=opens_at, closes_at=closes_at)


def read_error(body: bytes) -> WireError:
    """Never raises: what cannot be read has no code."""
    try:
        return msgspec.json.decode(body, type=WireError)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return WireError(message=body[:200].decode("utf-8", "replace"))


def _build(make: Callable[[], T]) -> T:
    try:
        return make()
    except ValueError as error:
        raise Unreadable(str(error)) from error


def _view(order: _WireOrder) -> OrderView:
    """An OCO is its two halves: one is filled, or one still lives, or the order itself tells."""
    halves = [order, *(order.legs or ())]
    deciding = _deciding(halves)
    filled = sum((_quantity(half.filled_qty) for half in halves), Decimal(0))
    value = sum((half.filled_qty * (half.filled_avg_price or 0) for half in halves), Decimal(0))
    status = status_of(deciding.status)
    if len(halves) > 1 and status is OrderStatus.HELD:
        status = OrderStatus.ACCEPTED
    return _build(
        lambda: OrderView(
            client_order_id=order.client_order_id,
            broker_order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            qty=_quantity(order.qty),
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
        raise Unreadable(f"{qty} is not a number of shares")
    return qty
