"""What the operator asks for, through the console."""

from __future__ import annotations

from shared.schemas.values import Message


class ReconcileRequested(Message, frozen=True, kw_only=True):
    """The operator asks for a comparison with the broker now."""

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
