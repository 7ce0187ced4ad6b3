"""Alpaca's positions, account, clock and calendar; a position that makes no sense is named.

Used by the Alpaca adapter alone. Numbers come as strings; unknown and missing fields are normal.
"""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from services.executor.brokers.alpaca.decoding import UnreadableReply, build, decode, decode_or_none
from services.executor.brokers.protocol import (
    AccountView,
    BrokerClock,
    PositionList,
    PositionView,
)
from shared.schemas.values import TradingSession

NEW_YORK = ZoneInfo("America/New_York")
NAMELESS = "?"  # an unreadable row without even a symbol
PAPER_PREFIX = "PA"  # how Alpaca numbers paper accounts


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


def read_positions(body: bytes) -> PositionList:
    """Read positions row by row; one that makes no sense is named and costs no other."""
    found, unreadable = [], []
    for row in decode(body, list[msgspec.Raw]):
        try:
            found.append(read_position(bytes(row)))
        except UnreadableReply:
            name = decode_or_none(row, _Symbol)
            unreadable.append(name.symbol if name else NAMELESS)
    return PositionList(rows=tuple(found), unreadable=tuple(unreadable))


def read_position(body: bytes) -> PositionView:
    """Raises UnreadableReply."""
    row = decode(body, _WirePosition)
    qty = -abs(row.qty) if row.side == "short" else row.qty
    return build(
        lambda: PositionView(
            symbol=row.symbol,
            qty=qty,
            average_price=row.avg_entry_price,
            mark=row.current_price,
            asset=row.asset_id or "",
        )
    )


def read_account(body: bytes) -> AccountView:
    row = decode(body, _WireAccount)
    equity = row.equity if row.equity is not None else row.portfolio_value
    if equity is None:
        raise UnreadableReply("the account has no equity")
    blocked = (
        row.trading_blocked
        or row.account_blocked
        or row.trade_suspended_by_user
        or row.status != "ACTIVE"
    )
    return build(
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
    row = decode(body, _WireClock)
    if row.timestamp.tzinfo is None:
        raise UnreadableReply("the clock has no time zone")
    return BrokerClock(at=row.timestamp.astimezone(dt.UTC), is_open=row.is_open)


def read_calendar(body: bytes) -> tuple[TradingSession, ...]:
    rows = decode(body, list[_WireDay])
    return build(lambda: tuple(_session(row) for row in rows))


def _session(row: _WireDay) -> TradingSession:
    opens_at, closes_at = (
        dt.datetime.combine(row.date, dt.time.fromisoformat(text), NEW_YORK).astimezone(dt.UTC)
        for text in (row.open, row.close)
    )
    return TradingSession(session=row.date, opens_at=opens_at, closes_at=closes_at)
