"""What the data-fetcher publishes about quotes: one, or none, for every symbol a scan named."""

from __future__ import annotations

from shared.schemas.values import Message, Quote, ScanRef


class QuotesSeen(Message, frozen=True, kw_only=True):
    """One quote, or "unquoted", for every symbol a scan named."""

    scan: ScanRef
    part: int
    parts: int
    quotes: tuple[Quote, ...]
    unquoted: tuple[str, ...]
