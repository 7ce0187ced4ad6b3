"""What the executor asks of any broker; one contract suite holds every implementation to this page.

A broker never sends an order twice by itself, never guesses, and answers within its deadlines.
"""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from shared.domain.trading.orders import OrderView
from shared.schemas import fields as f
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.values import Side, TradingSession, Value


class Kind(StrEnum):
    """What is sent: an immediate limit order, a market order, or protection that rests."""

    IMMEDIATE = "immediate"
    MARKET = "market"
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
    WITHHELD = "withheld"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """The result of one POST and what the broker said with it.

    `order` comes with `accepted` alone, `retry_after` (seconds) with what was surely not taken.
    `counted` is False when we kept it back ourselves. `passes`: a refusal that may pass by itself
    (shares held by another order). `halts`: nothing more may be opened at this account.
    """

    result: SubmitResult
    detail: str = ""
    order: OrderView | None = None
    retry_after: float = 0.0
    counted: bool = True
    passes: bool = False
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
    """A position at the broker; `qty` may be a fraction and is negative for a short.

    `mark` is what the broker values a share at. `asset` names the share whatever its symbol, ""
    where the broker has no such name.
    """

    symbol: f.ForeignName
    qty: f.Shares
    average_price: f.Money
    mark: f.Money | None
    asset: str = ""


class PositionList(Value, frozen=True, kw_only=True):
    """`unreadable` names the rows that make no sense, "?" where even the symbol is missing."""

    rows: tuple[PositionView, ...]
    unreadable: tuple[str, ...] = ()


class OrderList(Value, frozen=True, kw_only=True):
    """`ours` carry our prefix; `foreign` counts the others; `unreadable` are ids of ours."""

    ours: tuple[OrderView, ...]
    foreign: int
    unreadable: tuple[str, ...] = ()


class BrokerClock(Value, frozen=True, kw_only=True):
    at: dt.datetime
    is_open: bool


def no_objection() -> str:
    """The last look of an order that nothing can withhold any more."""
    return ""


class Wakeups(Protocol):
    def take(self) -> frozenset[str]:
        """What the broker's stream has named since the last call.

        Our ids, others' symbols, `*` for everything.
        """
        ...


class Broker(Protocol):
    """Look-ups raise TransientError when the broker does not answer or answers nonsense."""

    def submit(
        self, request: OrderRequest, *, last_look: Callable[[], str] = no_objection
    ) -> SubmitAnswer:
        """Send it once. Never raises for what the broker or the network did: that is the answer.

        `last_look` is called when the connection is open and no byte of the request has left; a
        sentence from it withholds the order.
        """
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

    def positions(self) -> PositionList: ...

    def position(self, symbol: str) -> PositionView | None:
        """One symbol, asked by itself; None: the broker says there is no such position."""
        ...

    def foreign_executions(self, symbol: str, since: dt.datetime) -> Decimal:
        """Shares that orders of others bought (positive) or sold in a symbol after an instant."""
        ...

    def corporate_actions(
        self, symbols: Collection[str], since: dt.date, through: dt.date
    ) -> CorporateActions:
        """Splits, renames and removals announced for these dates, both included."""
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
