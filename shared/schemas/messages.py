"""Everything the services say to each other, one frozen struct a message, grouped by stream.

Unknown fields are ignored when read; a breaking change is a new type name. Imports only values.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.executions import (
    AccountSeen as AccountSeen,
    OrderEnded as OrderEnded,
    OrderFilled as OrderFilled,
    OrderSubmitted as OrderSubmitted,
    OrderUnknown as OrderUnknown,
    PositionAdjusted as PositionAdjusted,
    ProtectionPlaced as ProtectionPlaced,
    ScanExecuted as ScanExecuted,
)
from shared.schemas.values import (
    Exit,
    Message as Message,
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
)

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
