"""What the data-fetcher publishes about quotes: one, or none, for every symbol a scan named."""

from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import Message, Quote, ScanRef


class QuotesSeen(Message, frozen=True, kw_only=True):
    """One quote, or "unquoted", for every symbol a scan named.

    `fresh`: asked for a second time, for the entries of a scan whose exits took long.
    """

    scan: ScanRef
    part: f.Part
    parts: f.Part
    quotes: Annotated[tuple[Quote, ...], Meta(max_length=f.MAX_ENTRIES)]
    fresh: bool = False
    unquoted: Annotated[tuple[f.Symbol, ...], Meta(max_length=f.MAX_ENTRIES)]
