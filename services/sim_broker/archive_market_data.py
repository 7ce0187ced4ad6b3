"""The bar archive as the exchange's market data, one symbol's session at a time.

Wired by `__main__`. Notices sessions that the writer appends; prices become Decimals with the
archive's four decimals.
"""

import datetime as dt
import math
from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path

from shared.runtime.archive.archive import BarArchive
from shared.runtime.archive.manifest import MANIFEST
from shared.schemas.values import Bar


class ArchiveMarketData:
    def __init__(self, folder: Path) -> None:
        """Open the archive. Raises UserError if there is no readable one."""
        self._manifest = folder / MANIFEST
        self._folder = folder
        self._open()

    def _open(self) -> None:
        self._seen = self._manifest.stat().st_mtime_ns
        archive = BarArchive.open(self._folder)
        self._sessions = archive.sessions
        self._panel = archive.panel()
        self._rows = {symbol: row for row, symbol in enumerate(self._panel.symbols)}
        self._columns = {session: column for column, session in enumerate(archive.sessions)}

    def bar(self, symbol: str, session: dt.date) -> Bar | None:
        row, column = self._rows.get(symbol), self._columns.get(session)
        if row is None or column is None:
            return None
        panel = self._panel
        opening, close = panel.open[row, column], panel.close[row, column]
        if math.isnan(close):
            return None
        return Bar(
            open=_dollars(opening),
            high=_dollars(panel.high[row, column]),
            low=_dollars(panel.low[row, column]),
            close=_dollars(close),
        )

    def symbols(self) -> Collection[str]:
        return self._rows.keys()

    def sessions(self) -> Sequence[dt.date]:
        if self._manifest.stat().st_mtime_ns != self._seen:
            self._open()
        return self._sessions


def _dollars(price: float) -> Decimal:
    return Decimal(repr(round(float(price), 4)))
