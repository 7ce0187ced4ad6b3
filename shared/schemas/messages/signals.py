"""What the signal-engine publishes: everything a scan found."""

from __future__ import annotations

from shared.schemas.values import Exit, Message, ScanRef, Signal


class ScanCompleted(Message, frozen=True, kw_only=True):
    """All that a scan found: exits first, then signals in rank order; large scans in parts."""

    scan: ScanRef
    part: int
    parts: int
    exits: tuple[Exit, ...]
    signals: tuple[Signal, ...]
    bars_digest: str
    aborted: str = ""
