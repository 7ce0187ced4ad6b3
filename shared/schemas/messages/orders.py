"""What the risk-gate says: approvals, denials, and the trading state."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.values import (
    Message,
    Phase,
    Protection,
    Purpose,
    Reason,
    Side,
    Slot,
    TradingState,
)


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
