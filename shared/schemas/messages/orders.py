"""What the risk-gate publishes: approvals, denials, and the trading state."""

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
    """The gate refuses an intent; `reasons` are in the fixed order, `details` by reason."""

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
    """A phase of a scan is decided: `approved` orders precede this. `final`: no phase follows."""

    scan_id: str
    slot: Slot
    phase: Phase
    approved: int
    denied: int
    final: bool


class TradingStateChanged(Message, frozen=True, kw_only=True):
    """Trading is now active, reducing (exits only) or halted."""

    state: TradingState
    why: str
