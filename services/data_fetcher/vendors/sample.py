"""Real bars without keys.

Five large stocks, 2000-2013 (shared/runtime/archive/sample.py), offered as a vendor.
"""

import datetime as dt
from collections.abc import Sequence
from functools import cached_property

from services.data_fetcher.bar_selection import select_bars
from services.data_fetcher.vendor_registry import BarsVendor, VendorPlace
from shared.domain.market.bars import Bars
from shared.runtime.archive.sample import BASIS, SYMBOLS, digest_of, sample_bars


class Sample:
    basis = BASIS

    def source(self) -> str:
        return digest_of(self._bars)

    def symbols(self) -> tuple[str, ...]:
        return SYMBOLS

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        return select_bars(self._bars, symbols, start, end)

    @cached_property
    def _bars(self) -> Bars:
        return sample_bars()


def bars(place: VendorPlace) -> BarsVendor:
    return Sample()
