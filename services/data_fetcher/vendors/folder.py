"""A user's own bars: a folder of files, or one file, named in kobe.toml (bars.folder).

The files are read when asked, so a file that was replaced is seen. How they are read, and what
stops it, is the reader's (shared/runtime/bar_files).
"""

import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path

from services.data_fetcher.bar_selection import select_bars
from services.data_fetcher.vendor_registry import BarsVendor, VendorPlace
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars, bars_of
from shared.domain.market.refusals import RefusedBar
from shared.runtime.bar_files.actions import read_splits
from shared.runtime.bar_files.file_bars import FileBars, ReadOptions
from shared.runtime.bar_files.reader import read_files
from shared.runtime.bar_files.sources import digest_of
from shared.runtime.config.settings import CONFIG_PIN_ERROR


class Folder:
    def __init__(
        self, path: Path, *, accept_flawed: bool = False, splits: Path | None = None
    ) -> None:
        self._path, self._accept_flawed, self._splits = path, accept_flawed, splits
        self._read: tuple[str, FileBars] | None = None

    @property
    def basis(self) -> Basis:
        return self._files().basis

    def source(self) -> str:
        digests = [digest_of(path) for path in (self._path, self._splits) if path]
        return digests[0] if len(digests) == 1 else _digest("|".join(digests))

    def symbols(self) -> tuple[str, ...]:
        return self._files().panel.symbols

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        return select_bars(bars_of(self._files().panel), symbols, start, end)

    def refusals(self) -> Sequence[RefusedBar]:
        return self._files().refusals

    def _files(self) -> FileBars:
        digest = self.source()
        if self._read is None or self._read[0] != digest:
            options = ReadOptions(
                accept_flawed=self._accept_flawed,
                splits=read_splits(self._splits) if self._splits else (),
            )
            self._read = digest, read_files(self._path, options)
        return self._read[1]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def bars(place: VendorPlace) -> BarsVendor:
    if place.folder is None:
        raise UserError(
            "bars.vendor is 'folder' but bars.folder in kobe.toml names none.",
            exit_code=CONFIG_PIN_ERROR,
        )
    return Folder(place.folder, accept_flawed=place.accept_flawed, splits=place.splits)
