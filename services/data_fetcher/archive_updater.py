"""Makes the bar archive, adds what is missing, and says what it holds. The archive's one writer.

Called by the service's work. Which bars are possible the domain says; which session must exist, the
scheduler.
"""

import datetime as dt
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from services.data_fetcher.backfill.plan import AHEAD, source_key
from services.data_fetcher.coverage import Coverage, coverage, first_bars, missing_bars
from services.data_fetcher.vendor_registry import ActionsVendor, BarsVendor, RefusingVendor
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.runtime.archive import remote, writer
from shared.runtime.archive.archive import BarArchive
from shared.runtime.observability.log import logger
from shared.schemas.corporate_actions import CorporateActions
from shared.schemas.messages import BarsReady
from shared.schemas.values import ScanRef, Value


class Universe(Value, frozen=True, kw_only=True):
    """Which symbols are kept (none named.

    All the vendor offers), how many at most, and from how long ago.
    """

    symbols: tuple[str, ...] = ()
    maximum: int = 900
    history_years: int = 10
    minimum_coverage: Decimal = Decimal("0.98")


class ArchiveUpdater:
    """`actions` is None where the vendor announces no splits; `mirror` is an fsspec URL or ""."""

    def __init__(
        self,
        folder: Path,
        vendor_name: str,
        vendor: BarsVendor,
        universe: Universe,
        *,
        actions: ActionsVendor | None = None,
        mirror: str = "",
    ) -> None:
        self._folder, self._name, self._vendor, self._universe = (
            folder,
            vendor_name,
            vendor,
            universe,
        )
        self._actions, self._mirror = actions, mirror
        self._archive: BarArchive | None = None

    def ensure(self) -> None:
        """Check what is there by its digests: derive lost arrays again, set damaged bars aside.

        Where the vendor has all at hand, the archive is made unless it came from the very same
        bars.
        """
        if BarArchive.exists(self._folder):
            self._open_or_set_aside()
        if self._vendor.source() and (
            self._archive is None or self._archive.manifest.source != self._key()
        ):
            self._create(dt.date.max)

    def _open_or_set_aside(self) -> None:
        try:
            archive = BarArchive.open(self._folder)
            faults = archive.faults()
            if faults:
                logger().warning("archive_damaged", faults=faults)
                archive = writer.rederive(self._folder)
                faults = archive.faults()
            if faults:
                raise UserError(faults[0])
        except UserError as error:
            place = writer.set_aside(self._folder)
            logger().error("archive_set_aside", reason=str(error), kept_at=str(place))
            self._archive = None
            return
        self._adopt(archive)

    def fetch(self, through: dt.date) -> None:
        """Ask the vendor for what is missing through a session, late bars of the last one too."""
        archive = self._open()
        if archive is None or archive.manifest.source != self._key():
            self._create(through)
            return
        last = archive.sessions[-1]
        if last <= through:
            bars = self._vendor.daily_bars(self.symbols(), last, through)
            actions = self._announcements(last, through)
            self._adopt(writer.append(archive.folder, bars, actions=actions))
            self._push()

    def settle(self) -> None:
        """Write the arrays anew with what was appended; worth doing when nobody waits."""
        archive = self._open()
        if archive and archive.manifest.tail:
            self._adopt(writer.settle(archive.folder))

    def holds(self, session: dt.date) -> bool:
        """Whether the archive reaches that far.

        Which symbols have the bar is for `report` to say.
        """
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
            basis=archive.basis.name.lower(),
            missing=self._missing,
            jumps=tuple(sorted({jump.symbol for jump in archive.jumps})),
        )

    @property
    def last(self) -> dt.date | None:
        archive = self._open()
        return archive.sessions[-1] if archive else None

    def symbols(self) -> tuple[str, ...]:
        """The universe.

        UserError if the vendor lacks one of it, or offers more than the maximum.
        """
        offered, named = self._vendor.symbols(), self._universe.symbols
        missing = sorted(set(named) - set(offered)) if offered else []
        if missing:
            raise UserError(
                f"The vendor {self._name!r} has no bars of {', '.join(missing[:5])} "
                "(universe.symbols)."
            )
        symbols = named or offered
        if len(symbols) > self._universe.maximum:
            raise UserError(
                f"The universe has {len(symbols)} symbols but universe.maximum is "
                f"{self._universe.maximum}; name fewer in universe.symbols, or raise it."
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
        actions = self._announcements(self._history_start(through), through)
        vendor = self._vendor
        archive = writer.create(
            self._folder,
            bars,
            basis=vendor.basis,
            source=self._key(),
            actions=actions,
            refused=vendor.refusals() if isinstance(vendor, RefusingVendor) else (),
        )
        self._adopt(archive)
        self._push()

    def _announcements(self, start: dt.date, through: dt.date) -> CorporateActions:
        """Splits and dividends since a day, those that are announced for later among them."""
        if self._actions is None:
            return writer.NO_ACTIONS
        end = min(through, dt.date.max - AHEAD) + AHEAD
        actions = self._actions.corporate_actions(self.symbols(), start, end)
        is_raw = self._vendor.basis is Basis.RAW  # other prices have their splits in them
        return actions if is_raw else replace(actions, splits=())

    def _push(self) -> None:
        """Bring the copy behind the URL up to date; it is tried again at the next change."""
        if self._mirror:
            try:
                remote.push(self._folder, self._mirror)
            except TransientError as error:
                logger().warning("archive_not_mirrored", reason=str(error))

    def _open(self) -> BarArchive | None:
        if self._archive is None and BarArchive.exists(self._folder):
            self._adopt(BarArchive.open(self._folder))
        return self._archive

    def _adopt(self, archive: BarArchive) -> None:
        self._archive, self._panel = archive, archive.panel()
        self._first = first_bars(self._panel)
        self._missing = missing_bars(self._panel, self._first)

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
