"""Orders, submissions and refusals: the values the simulated exchange works on.

Simulated are market, limit, stop and OCO orders; day, GTC and IOC; fractions of shares as day
orders.
"""

import datetime as dt
import uuid
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

import msgspec

from shared.schemas.values import Direction, OrderStatus, Side, Value

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "simulated-broker")
OPEN_STATUSES = frozenset(
    {
        OrderStatus.ACCEPTED,
        OrderStatus.NEW,
        OrderStatus.HELD,
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.PENDING_CANCEL,
    }
)


class OrderType(StrEnum):
    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class TimeInForce(StrEnum):
    DAY = "day"
    GTC = "gtc"
    IOC = "ioc"


class OrderClass(StrEnum):
    SIMPLE = ""
    OCO = "oco"


class TakeProfit(msgspec.Struct, frozen=True):
    limit_price: Decimal | None = None


class StopLoss(msgspec.Struct, frozen=True):
    stop_price: Decimal | None = None
    limit_price: Decimal | None = None


class OrderSubmission(msgspec.Struct, frozen=True, kw_only=True):
    """The body of POST /v2/orders, unchecked; see order_validation.py."""

    symbol: str | None = None
    qty: Decimal | None = None
    notional: Decimal | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    extended_hours: bool | None = None
    client_order_id: str | None = None
    order_class: str | None = None
    take_profit: TakeProfit | None = None
    stop_loss: StopLoss | None = None


class Ticket(Value, frozen=True, kw_only=True):
    """A valid submission. An OCO has both prices: the target's limit and the stop."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    order_class: OrderClass
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None


class BrokerOrder(Value, frozen=True, kw_only=True):
    """One order at the exchange.

    Of an OCO the target is the order and the stop its leg; each knows the other's id.
    """

    id: str
    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    order_class: OrderClass
    position_intent: str
    qty: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    status: OrderStatus
    submitted_at: dt.datetime
    updated_at: dt.datetime
    expires_at: dt.datetime
    filled_at: dt.datetime | None = None
    canceled_at: dt.datetime | None = None
    expired_at: dt.datetime | None = None
    failed_at: dt.datetime | None = None
    filled_qty: Decimal = Decimal(0)
    filled_notional: Decimal = Decimal(0)
    parent_id: str = ""
    leg_id: str = ""

    @property
    def remaining(self) -> Decimal:
        return self.qty - self.filled_qty

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES

    @property
    def average_price(self) -> Decimal | None:
        return self.filled_notional / self.filled_qty if self.filled_qty else None


class OrderUpdate(Value, frozen=True, kw_only=True):
    """One event in the life of an order, for the trade_updates stream; prices only with fills."""

    event: str
    order: BrokerOrder
    at: dt.datetime
    execution_id: str
    price: Decimal | None = None
    qty: Decimal | None = None
    position_qty: Decimal | None = None

    @staticmethod
    def execution_id_of(account: str, number: int) -> str:
        """The id of the account's event with this number."""
        return identity(account, "execution", number)


@dataclass(frozen=True, slots=True)
class OrderRefusal:
    """The broker's refusal: HTTP status, its own code, a sentence, and further fields."""

    status: int
    code: int
    message: str
    extra: dict[str, object] = field(default_factory=dict)


def identity(*parts: object) -> str:
    """A UUID derived from the parts."""
    return str(uuid.uuid5(_NAMESPACE, "|".join(str(part) for part in parts)))


def closing_direction(side: Side) -> Direction:
    """The direction of the position that an order of this side closes."""
    return Direction.LONG if side is Side.SELL else Direction.SHORT
