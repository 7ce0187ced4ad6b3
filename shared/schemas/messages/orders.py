"""What the risk-gate publishes: approvals, denials, and the trading state."""

import datetime as dt
from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
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

    scan_id: f.Id
    slot: Slot
    signal_id: f.Id
    decision_id: f.Id
    client_order_id: f.Id
    attempt: f.Place
    strategy: f.StrategyName
    symbol: f.Symbol
    side: Side
    purpose: Purpose
    qty: f.Qty
    limit_price: f.Price
    protection: Protection | None
    expires_at: dt.datetime


class OrderDenied(Message, frozen=True, kw_only=True):
    """The gate refuses an intent; `reasons` are in the fixed order, `details` by reason."""

    scan_id: f.Id
    slot: Slot
    signal_id: f.Id
    decision_id: f.Id
    strategy: f.StrategyName
    symbol: f.Symbol
    side: Side
    purpose: Purpose
    qty: f.Sequence
    limit_price: f.Money | None
    reasons: Annotated[tuple[Reason, ...], Meta(min_length=1, max_length=64)]
    details: Annotated[dict[f.Word, f.Text], Meta(max_length=64)] = {}


class ScanDecided(Message, frozen=True, kw_only=True):
    """A phase of a scan is decided: `approved` orders precede this. `final`: no phase follows."""

    scan_id: f.Id
    slot: Slot
    phase: Phase
    approved: f.Count
    denied: f.Count
    final: bool


class TradingStateChanged(Message, frozen=True, kw_only=True):
    """Trading is now active, reducing (exits only) or halted."""

    state: TradingState
    why: f.Text
