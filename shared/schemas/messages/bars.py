"""What the data-fetcher says of bars: how far the archive reaches and what it holds."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.values import Message, ScanRef


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
