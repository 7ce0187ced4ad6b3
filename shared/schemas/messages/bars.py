"""What the data-fetcher publishes about bars and shares: the archive's reach, splits and renames."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.corporate_actions import Removal, Rename, Split
from shared.schemas.values import Message, ScanRef


class BarsReady(Message, frozen=True, kw_only=True):
    """The archive holds the sessions up to `through`; `digest` is their chained digest."""

    scan: ScanRef | None
    through: dt.date
    digest: str
    symbols: int
    coverage: Decimal
    sufficient: bool
    stale: tuple[str, ...]
    refused: dict[str, int]


class CorporateActionsSeen(Message, frozen=True, kw_only=True):
    """What the vendor announces for the dates after `since` up to and with `session`, the next to open.

    Said before every open, also when nothing was found: then all three are empty. `symbols` counts
    the symbols asked about: the universe and whatever is held.
    """

    session: dt.date
    since: dt.date
    vendor: str
    symbols: int
    splits: tuple[Split, ...]
    renames: tuple[Rename, ...]
    removals: tuple[Removal, ...]
