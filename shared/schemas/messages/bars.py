"""What the data-fetcher publishes on bars and shares: the archive's reach, splits, renames."""

import datetime as dt
from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.corporate_actions import Removal, Rename, Split
from shared.schemas.values import Message, ScanRef


class BarsReady(Message, frozen=True, kw_only=True):
    """The archive holds the sessions up to `through`; `digest` is their chained digest.

    `universe` are the symbols whose bars are kept: the only ones that may be entered. `missing`
    counts sessions without a bar within the symbols' histories; `jumps` are symbols with a
    split-like jump that no corporate action explains.
    """

    scan: ScanRef | None
    through: dt.date
    digest: f.Digest
    symbols: f.Count
    coverage: f.Fraction
    sufficient: bool
    stale: Annotated[tuple[f.ForeignName, ...], Meta(max_length=20_000)]
    universe: Annotated[tuple[f.ForeignName, ...], Meta(max_length=20_000)] = ()
    refused: Annotated[dict[f.Word, f.Count], Meta(max_length=64)]
    basis: f.Word = "unknown"
    missing: f.Count = 0
    jumps: Annotated[tuple[f.ForeignName, ...], Meta(max_length=20_000)] = ()


class CorporateActionsSeen(Message, frozen=True, kw_only=True):
    """What the vendor announces for dates after `since` up to and with `session`, the next one.

    Said before every open, also when nothing was found: then all three are empty. `symbols` counts
    the symbols asked about: the universe and whatever is held.
    """

    session: dt.date
    since: dt.date
    vendor: f.Word
    symbols: f.Count
    splits: tuple[Split, ...]
    renames: tuple[Rename, ...]
    removals: tuple[Removal, ...]
