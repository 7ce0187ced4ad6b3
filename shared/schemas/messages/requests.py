"""What the risk-gate asks of the data-fetcher."""

from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import Message, ScanRef


class QuotesRequested(Message, frozen=True, kw_only=True):
    """Exits took longer than a quote lives: fresh ones for the scan's entries, asked for once."""

    scan: ScanRef
    symbols: Annotated[tuple[f.Symbol, ...], Meta(min_length=1, max_length=f.MAX_QUOTES_REQUESTED)]
