"""Everything the services say to each other, one frozen struct a message, grouped by stream.

Unknown fields are ignored when read; a breaking change is a new type name. Imports only values.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.values import (
    Ending,
    Exit,
    Holding,
    Phase,
    Protection,
    Purpose,
    Quote,
    Reason,
    ScanRef,
    Side,
    Signal,
    Slot,
    Stage,
    TradingState,
    Value,
)


class Message(Value, frozen=True, kw_only=True):
    """What stands in an envelope's `data`; its type is the class's name."""


# --- schedule (scheduler) -------------------------------------------------------------------------------


class SessionOpened(Message, frozen=True, kw_only=True):
    session: dt.date
    previous: dt.date | None
    opens_at: dt.datetime
    closes_at: dt.datetime


class BarsDue(Message, frozen=True, kw_only=True):
    """The archive should hold every session up to `through`."""

    through: dt.date


class ScanDue(Message, frozen=True, kw_only=True):
    scan: ScanRef


class ReconcileDue(Message, frozen=True, kw_only=True):
    """Compare with the broker and say what was seen; `stage` tells which part of the session has passed."""

    session: dt.date
    stage: Stage


class SessionClosed(Message, frozen=True, kw_only=True):
    session: dt.date


# --- bars, quotes (data-fetcher) ------------------------------------------------------------------------


class BarsReady(Message, frozen=True, kw_only=True):
    """The archive holds the sessions through `through`; `digest` is the chained digest of exactly those."""

    scan: ScanRef | None
    through: dt.date
    digest: str
    symbols: int
    coverage: Decimal
    sufficient: bool
    stale: tuple[str, ...]
    refused: dict[str, int]


class QuotesSeen(Message, frozen=True, kw_only=True):
    """One quote, or "unquoted", for every symbol a scan named."""

    scan: ScanRef
    part: int
    parts: int
    quotes: tuple[Quote, ...]
    unquoted: tuple[str, ...]


# --- signals (signal-engine) ----------------------------------------------------------------------------


class ScanCompleted(Message, frozen=True, kw_only=True):
    """All that a scan found: exits first, then signals in rank order; large scans come in numbered parts."""

    scan: ScanRef
    part: int
    parts: int
    exits: tuple[Exit, ...]
    signals: tuple[Signal, ...]
    bars_digest: str
    aborted: str = ""


# --- orders (risk-gate) ---------------------------------------------------------------------------------


class OrderApproved(Message, frozen=True, kw_only=True):
    """The executor may send this order, or less, or nothing; never more, never later."""

    scan_id: str
    slot: Slot
    signal_id: str
    decision_id: str
    client_order_id: str
    attempt: int
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal
    protection: Protection | None
    expires_at: dt.datetime


class OrderDenied(Message, frozen=True, kw_only=True):
    scan_id: str
    slot: Slot
    signal_id: str
    decision_id: str
    strategy: str
    symbol: str
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal | None
    reasons: tuple[Reason, ...]
    details: dict[str, str] = {}


class ScanDecided(Message, frozen=True, kw_only=True):
    """`approved` orders of this phase were said before this; the scan's last phase is `final`."""

    scan_id: str
    slot: Slot
    phase: Phase
    approved: int
    denied: int
    final: bool


class TradingStateChanged(Message, frozen=True, kw_only=True):
    state: TradingState
    why: str


# --- executions (executor) ------------------------------------------------------------------------------


class OrderSubmitted(Message, frozen=True, kw_only=True):
    """The broker has it."""

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
    """`qty` more shares were filled at `price` (their average); `cumulative_qty` counts them all."""

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
    """The one terminal event of an order; `reason` and `detail` say what the broker (or we) said."""

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
    """We do not know whether the broker took it; never guessed, looked up until known."""

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
    """Local books moved to agree with the broker; never an invented fill. `qty` is the signed change."""

    symbol: str
    strategy: str
    qty: int
    price: Decimal
    why: str


class AccountSeen(Message, frozen=True, kw_only=True):
    """What the broker says we have; `drift` names the symbols on which our books and the broker differ."""

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


class ScanExecuted(Message, frozen=True, kw_only=True):
    """Every approved order of this phase is terminal and its protection accepted."""

    scan_id: str
    slot: Slot
    phase: Phase
    final: bool


# --- control (operator, through the console) ------------------------------------------------------------


class ReconcileRequested(Message, frozen=True, kw_only=True):
    by: str


class ActivateRequested(Message, frozen=True, kw_only=True):
    """The operator moves trading from reducing back to active."""

    by: str
    why: str


class DriftAcknowledged(Message, frozen=True, kw_only=True):
    """The operator has looked at a symbol's disagreement; it may be traded again."""

    symbol: str
    by: str


class KillCleared(Message, frozen=True, kw_only=True):
    """The operator has written `cleared_id`: kills up to it are over."""

    cleared_id: str
    by: str
    why: str


# --- audit (auditor) ------------------------------------------------------------------------------------


class BlockAppended(Message, frozen=True, kw_only=True):
    """Records up to `height` are on disk and synced; `head` is the last record's hash."""

    height: int
    head: str
    records: int


class CheckpointSigned(Message, frozen=True, kw_only=True):
    """`note` is the signed note over the RFC 6962 root of the first `size` records."""

    size: int
    root: str
    head: str
    note: str
