"""Keeps the bar archive: makes it, adds what is missing, and says what it holds. The archive's one writer.

Called by the service's work. Which bars are possible the domain says; which session must exist, the
scheduler.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

from services.data_fetcher.backfill.plan import AHEAD, source_key
from services.data_fetcher.coverage import Coverage, coverage, first_bars
from services.data_fetcher.vendor_registry import ActionsVendor, BarsVendor
from shared.domain.errors import UserError
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.messages import BarsReady
from shared.schemas.values import ScanRef, Value


class Universe(Value, frozen=True, kw_only=True):
    """Which symbols are kept (none named: all the vendor offers), how many at most, and from how long ago."""

    symbols: tuple[str, ...] = ()
    maximum: int = 900
    history_years: int = 10
    minimum_coverage: Decimal = Decimal("0.98")


class BarKeeper:
    def __init__(
        self,
        folder: Path,
        vendor_name: str,
        vendor: BarsVendor,
        universe: Universe,
        *,
        actions: ActionsVendor | None = None,
    ) -> None:
        self._actions = actions
        self._folder, self._name, self._vendor, self._universe = (
            folder,
            vendor_name,
            vendor,
            universe,
        )
        self._archive: BarArchive | None = None

    def ensure(self) -> None:
        """Where the vendor has all at hand: the archive is made, or kept if it came from the very same bars."""
        source = self._vendor.source()
        if not source:
            return
        if BarArchive.exists(self._folder) and self._kept():
            return
        self._create(dt.date.max)

    def _kept(self) -> bool:
        try:
            archive = BarArchive.open(self._folder)
            if archive.manifest.source != self._key():
                return False
            self._adopt(archive if archive.intact else writer.rederive(archive.folder))
        except UserError:  # damaged: it is made anew
            return False
        return True

    def fetch(self, through: dt.date) -> None:
        """Ask the vendor for what is missing up to a session, the late bars of the last one included."""
        archive = self._open()
        if archive is None or archive.manifest.source != self._key():
            self._create(through)
            return
        last = archive.sessions[-1]
        if last <= through:
            bars = self._vendor.daily_bars(self.symbols(), last, through)
            actions = self._announced(last, through)
            has_news = bool(bars.row.size or actions.splits or actions.dividends)
            self._adopt(
                writer.append(archive.folder, bars, actions=actions) if has_news else archive
            )

    def holds(self, session: dt.date) -> bool:
        """Whether the archive reaches that far; which symbols have the bar is for `report` to say."""
        return self.last is not None and session <= self.last

    def report(self, through: dt.date, scan: ScanRef | None) -> BarsReady:
        """What the archive holds up to a session."""
        archive = self._open()
        if archive is None:
            return _nothing(through, scan, self.symbols())
        seen = self._coverage(archive, through)
        return BarsReady(
            scan=scan,
            through=through,
            digest=archive.digest(through),
            symbols=len(archive.symbols),
            coverage=seen.ratio,
            sufficient=seen.ratio >= self._universe.minimum_coverage,
            stale=seen.stale,
            universe=archive.symbols,
            refused=dict(archive.refused),
        )

    @property
    def last(self) -> dt.date | None:
        archive = self._open()
        return archive.sessions[-1] if archive else None

    def symbols(self) -> tuple[str, ...]:
        """The universe; UserError if the vendor lacks one of it, or offers more than the maximum."""
        offered, named = self._vendor.symbols(), self._universe.symbols
        missing = sorted(set(named) - set(offered)) if offered else []
        if missing:
            raise UserError(
                f"The vendor {self._name!r} has no bars of {', '.join(missing[:5])} (universe.symbols)."
            )
        symbols = named or offered
        if len(symbols) > self._universe.maximum:
            raise UserError(
                f"The universe has {len(symbols)} symbols but universe.maximum is {self._universe.maximum}; "
                "name fewer in universe.symbols, or raise it."
            )
        if not symbols:
            raise UserError(
                f"The vendor {self._name!r} cannot list its symbols; name them in universe.symbols."
            )
        return symbols

    def _create(self, through: dt.date) -> None:
        """All that a vendor of files has; from any other the years of history wanted."""
        asked = (None, None) if self._vendor.source() else (self._history_start(through), through)
        bars = self._vendor.daily_bars(self.symbols(), *asked)
        start, end = asked
        actions = self._announced(start, end) if start and end else CorporateActions()
        self._adopt(
            writer.create(
                self._folder,
                bars,
                basis=self._vendor.basis,
                source=self._key(),
                actions=actions,
            )
        )

    def _announced(self, start: dt.date, end: dt.date) -> CorporateActions:
        """Splits and dividends of the universe, those already announced for the weeks to come too."""
        if self._actions is None:
            return CorporateActions()
        return self._actions.corporate_actions(self.symbols(), start, end + AHEAD)

    def _open(self) -> BarArchive | None:
        if self._archive is None and BarArchive.exists(self._folder):
            self._adopt(BarArchive.open(self._folder))
        return self._archive

    def _adopt(self, archive: BarArchive) -> None:
        self._archive, self._panel = archive, archive.panel()
        self._first = first_bars(self._panel)

    def _coverage(self, archive: BarArchive, through: dt.date) -> Coverage:
        return coverage(self._panel, self._first, through, self._universe.symbols)

    def _history_start(self, through: dt.date) -> dt.date:
        return through - dt.timedelta(days=round(365.25 * self._universe.history_years))

    def _key(self) -> str:
        """What the archive was made from; another vendor, universe or file is another archive."""
        return source_key(self._name, self._vendor.source(), self.symbols())


def _nothing(through: dt.date, scan: ScanRef | None, symbols: tuple[str, ...]) -> BarsReady:
    return BarsReady(
        scan=scan,
        through=through,
        digest="",
        symbols=0,
        coverage=Decimal(0),
        sufficient=False,
        stale=symbols,
        refused={},
    )
