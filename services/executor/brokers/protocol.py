"""What the executor asks of any broker; one contract suite holds every implementation to this page.

A broker never sends an order twice by itself, never guesses, and answers within its deadlines.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from shared.domain.trading.orders import OrderView
from shared.schemas.values import Side, TradingSession, Value


class Kind(StrEnum):
    """What is sent: an immediate limit order, or protection that rests until filled or canceled."""

    IMMEDIATE = "immediate"
    STOP = "stop"
    STOP_AND_TARGET = "stop_and_target"


class OrderRequest(Value, frozen=True, kw_only=True):
    """An order to send.

    An immediate order has a `limit_price`; protection a `stop_price` and perhaps a target
    (`limit_price`).
    """

    client_order_id: str
    symbol: str
    side: Side
    qty: int
    kind: Kind
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


class SubmitResult(StrEnum):
    """What became of one POST (docs/order-path.md)."""

    NOT_SENT = "not_sent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXISTS = "exists"
    NOT_TAKEN = "not_taken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """The result of one POST and what the broker said with it.

    `order` comes with `accepted` alone, `retry_after` (seconds) with what was surely not taken.
    `counted` is False when we kept it back ourselves. `halts`: nothing more may be opened at this
    account.
    """

    result: SubmitResult
    detail: str = ""
    order: OrderView | None = None
    retry_after: float = 0.0
    counted: bool = True
    halts: bool = False


class AccountView(Value, frozen=True, kw_only=True):
    """The account, in dollars.

    `blocked`: the broker takes no orders from us now. `paper`: None if it cannot say.
    """

    number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    blocked: bool
    paper: bool | None = None


class PositionView(Value, frozen=True, kw_only=True):
    """`qty` is negative for a short; `mark` is what the broker values a share at."""

    symbol: str
    qty: Decimal
    average_price: Decimal
    mark: Decimal | None


class OrderList(Value, frozen=True, kw_only=True):
    """`ours` carry our prefix; `foreign` counts the others."""

    ours: tuple[OrderView, ...]
    foreign: int


class BrokerClock(Value, frozen=True, kw_only=True):
    at: dt.datetime
    is_open: bool


class Wakeups(Protocol):
    def take(self) -> frozenset[str]:
        """What the broker's stream has named since the last call.

        Our ids, others' symbols, `*` for everything.
        """
        ...


class Broker(Protocol):
    """Look-ups raise TransientError when the broker does not answer or answers nonsense."""

    def submit(self, request: OrderRequest) -> SubmitAnswer:
        """Send it once. Never raises for what the broker or the network did: that is the answer."""
        ...

    def cancel(self, broker_order_id: str) -> None:
        """Ask for its end; whether it came is seen by looking. No error if it had ended before."""
        ...

    def order_by_client_id(self, client_order_id: str) -> OrderView | None:
        """None: the broker says there is no such order."""
        ...

    def order(self, broker_order_id: str) -> OrderView | None: ...

    def open_orders(self) -> OrderList: ...

    def orders_since(self, after: dt.datetime | None) -> OrderList:
        """All orders submitted after the instant, oldest first; None: the latest ones."""
        ...

    def positions(self) -> tuple[PositionView, ...]: ...

    def held_qty(self, symbol: str) -> Decimal:
        """Shares of one symbol; 0 if none, negative for a short."""
        ...

    def account(self) -> AccountView: ...

    def clock(self) -> BrokerClock: ...

    def sessions(self, first: dt.date, last: dt.date) -> tuple[TradingSession, ...]:
        """The broker's calendar: its sessions from one day through another, in order."""
        ...


@dataclass(frozen=True, slots=True)
class BrokerConnection:
    """What a broker's `connect` returns; without `wakeups` only polling notices what it does."""

    broker: Broker
    wakeups: Wakeups | None = None
