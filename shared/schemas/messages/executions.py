"""What the executor publishes: what the broker has accepted, filled, ended, and holds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.values import (
    Ending,
    Holding,
    MarketView,
    Message,
    Phase,
    Purpose,
    Side,
    Slot,
    Stage,
)


class OrderSubmitted(Message, frozen=True, kw_only=True):
    """The broker has accepted the order."""

    client_order_id: str
    decision_id: str
    broker_order_id: str
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal | None


class OrderFilled(Message, frozen=True, kw_only=True):
    """`qty` more shares were filled at the average `price`; `cumulative_qty` counts them all."""

    client_order_id: str
    decision_id: str
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    session: dt.date
    qty: int
    price: Decimal
    cumulative_qty: int
    time_stop_bars: int
    stop: Decimal | None
    filled_at: dt.datetime


class OrderEnded(Message, frozen=True, kw_only=True):
    """The one terminal event of an order; `detail` gives the broker's reason, or ours."""

    client_order_id: str
    decision_id: str
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    ending: Ending
    filled_qty: int
    average_price: Decimal | None
    detail: str = ""


class OrderUnknown(Message, frozen=True, kw_only=True):
    """We do not know whether the broker has the order; it is looked up until known."""

    client_order_id: str
    symbol: str
    detail: str


class ProtectionPlaced(Message, frozen=True, kw_only=True):
    """A stop (or stop and target) rests at the broker for exactly `qty` held shares."""

    symbol: str
    strategy: str
    parent_client_order_id: str
    client_order_id: str
    broker_order_id: str
    counter: int
    side: Side
    qty: int
    stop: Decimal
    target: Decimal | None


class PositionAdjusted(Message, frozen=True, kw_only=True):
    """Our books moved to agree with the broker: never a fill. `qty` is the signed change."""

    symbol: str
    strategy: str
    qty: int
    price: Decimal
    why: str


class AccountSeen(Message, frozen=True, kw_only=True):
    """The account and market as the broker reports them.

    `drift` names symbols on which our books differ. `market` is None if the broker's clock or
    calendar could not be read.
    """

    session: dt.date
    stage: Stage
    account_number: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    blocked: bool
    open_orders: int
    holdings: tuple[Holding, ...]
    drift: tuple[str, ...]
    market: MarketView | None = None


class ScanExecuted(Message, frozen=True, kw_only=True):
    """Every approved order of this phase is terminal and its protection accepted."""

    scan_id: str
    slot: Slot
    phase: Phase
    final: bool
