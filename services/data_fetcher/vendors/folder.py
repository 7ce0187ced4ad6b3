"""A user's own bars: a folder of CSV or Parquet files, or one such file, named in kobe.toml (bars.folder).

The files are read when asked, so a file that was replaced is seen. It trusts the prices' adjustment
to the user.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from services.data_fetcher.bar_selection import selected
from services.data_fetcher.vendor_registry import BarsVendor, VendorPlace
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.runtime.archive.bar_files import digest_of, read_bars
from shared.runtime.config.settings import CONFIG_PIN_ERROR


class Folder:
    basis = Basis.UNKNOWN

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[str, Bars] | None = None

    def source(self) -> str:
        return digest_of(self._path)

    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self._bars().symbols))

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        return selected(self._bars(), symbols, start, end)

    def _bars(self) -> Bars:
        digest = self.source()
        if self._read is None or self._read[0] != digest:
            self._read = digest, read_bars(self._path)
        return self._read[1]


def bars(place: VendorPlace) -> BarsVendor:
    if place.folder is None:
        raise UserError(
            "bars.vendor is 'folder' but bars.folder in kobe.toml names none.",
            exit_code=CONFIG_PIN_ERROR,
        )
    return Folder(place.folder)
