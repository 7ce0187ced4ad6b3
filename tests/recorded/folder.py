"""The recorded market as a user's own files: one CSV a symbol."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from services.data_fetcher.vendor_registry import VendorPlace
from shared.domain.market.bars import FIELDS
from shared.runtime.clock import ManualClock
from tests.recorded.market import RecordedMarket
from tests.recorded.vendor import RecordedVendor


def recorded(
    market: RecordedMarket, _stack: ExitStack, folder: Path, _clock: ManualClock
) -> RecordedVendor:
    for symbol, where in market.rows.items():
        columns = [market.bars.session[where], *(getattr(market.bars, f)[where] for f in FIELDS)]
        rows = zip(*(column.tolist() for column in columns), strict=True)
        lines = ["date,open,high,low,close,volume", *(",".join(map(str, row)) for row in rows)]
        (folder / f"{symbol}.csv").write_text("\n".join(lines))
    return RecordedVendor(VendorPlace(folder=folder))
