"""Alpaca's JSON: strict about our orders, tolerant about others'; and the bodies we send.

Used by the Alpaca adapter alone. Numbers come as strings; unknown and missing fields are normal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from services.executor.brokers.protocol import (
    AccountView,
    BrokerClock,
    Kind,
    OrderRequest,
    PositionView,
)
from shared.domain.trading.ids import is_ours
from shared.domain.trading.orders import ENDINGS, OrderView, status_of
from shared.schemas.envelope import canonical
from shared.schemas.values import OrderStatus, Side, TradingSession

T = TypeVar("T")
NEW_YORK = ZoneInfo("America/New_York")
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
    filled_avg_price: Decimal | None = None
    filled_at: dt.datetime | None = None
    submitted_at: dt.datetime | None = None
    legs: list[_WireOrder] | None = None


class _Named(msgspec.Struct, frozen=True):
    client_order_id: str | None = None
    submitted_at: dt.datetime | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of orders; `last` is the latest instant any of its `rows` was submitted."""

    ours: tuple[OrderView, ...]
    foreign: int
    rows: int
    last: dt.datetime | None


class _WirePosition(msgspec.Struct, frozen=True):
    symbol: str
    qty: Decimal
    avg_entry_price: Decimal
    side: str = "long"
    current_price: Decimal | None = None


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
        "time_in_force": "ioc" if request.kind is Kind.IMMEDIATE else "gtc",
    }
    if request.kind is Kind.IMMEDIATE:
        order |= {"type": "limit", "limit_price": str(request.limit_price)}
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
    """Our orders read; others' only counted, whatever they look like."""
    rows = [(bytes(row), _decode(bytes(row), _Named)) for row in _decode(body, list[msgspec.Raw])]
    ours = tuple(read_order(row) for row, named in rows if is_ours(named.client_order_id or ""))
    last = max((named.submitted_at for _, named in rows if named.submitted_at), default=None)
    return Page(ours=ours, foreign=len(rows) - len(ours), rows=len(rows), last=last)


def read_positions(body: bytes) -> tuple[PositionView, ...]:
    return tuple(_position(row) for row in _decode(body, list[_WirePosition]))


def read_position(body: bytes) -> PositionView:
    return _position(_decode(body, _WirePosition))


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
    view: AccountView = _build(
        lambda: AccountView(
            number=row.account_number,
            cash=row.cash,
            equity=equity,
            buying_power=row.buying_power,
            blocked=blocked,
            paper=row.account_number.startswith(PAPER_PREFIX),
        )
    )
    return view


def read_clock(body: bytes) -> BrokerClock:
    row = _decode(body, _WireClock)
    if row.timestamp.tzinfo is None:
        raise Unreadable("the clock has no time zone")
    return BrokerClock(at=row.timestamp.astimezone(dt.UTC), is_open=row.is_open)


def read_calendar(body: bytes) -> tuple[TradingSession, ...]:
    rows = _decode(body, list[_WireDay])
    return tuple(_build(lambda row=row: _session(row)) for row in rows)


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


def _build(make: Any) -> Any:
    try:
        return make()
    except ValueError as error:
        raise Unreadable(str(error)) from error


def _position(row: _WirePosition) -> PositionView:
    qty = -abs(row.qty) if row.side == "short" else row.qty
    view: PositionView = _build(
        lambda: PositionView(
            symbol=row.symbol, qty=qty, average_price=row.avg_entry_price, mark=row.current_price
        )
    )
    return view


def _view(order: _WireOrder) -> OrderView:
    """An OCO is its two halves: one is filled, or one still lives, or the order itself tells."""
    halves = [order, *(order.legs or ())]
    deciding = _deciding(halves)
    filled = sum((_shares(half.filled_qty) for half in halves), 0)
    value = sum((half.filled_qty * (half.filled_avg_price or 0) for half in halves), Decimal(0))
    status = status_of(deciding.status)
    if len(halves) > 1 and status is OrderStatus.HELD:
        status = OrderStatus.ACCEPTED
    view: OrderView = _build(
        lambda: OrderView(
            client_order_id=order.client_order_id,
            broker_order_id=order.id,
            symbol=order.symbol,
            side=order.side,
            qty=_shares(order.qty),
            status=status,
            filled_qty=filled,
            average_price=value / filled if filled else None,
            filled_at=next((half.filled_at for half in halves if half.filled_qty), None),
            submitted_at=order.submitted_at,
            reported=deciding.status,
        )
    )
    return view


def _deciding(halves: Iterable[_WireOrder]) -> _WireOrder:
    def rank(half: _WireOrder) -> int:
        status = status_of(half.status)
        if status is OrderStatus.FILLED:
            return 0
        return 2 if status in ENDINGS else 1

    return min(halves, key=rank)


def _shares(qty: Decimal) -> int:
    if not qty.is_finite() or qty != qty.to_integral_value() or qty < 0:
        raise Unreadable(f"{qty} is not a number of whole shares")
    return int(qty)
