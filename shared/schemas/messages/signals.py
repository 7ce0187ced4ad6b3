"""What the signal-engine publishes: everything a scan found."""

from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import Exit, Message, ScanRef, Signal


class ScanCompleted(Message, frozen=True, kw_only=True):
    """All that a scan found: exits first, then signals in rank order; large scans in parts."""

    scan: ScanRef
    part: f.Part
    parts: f.Part
    exits: Annotated[tuple[Exit, ...], Meta(max_length=f.MAX_ENTRIES)]
    signals: Annotated[tuple[Signal, ...], Meta(max_length=f.MAX_ENTRIES)]
    bars_digest: f.Digest
    aborted: f.Text = ""
