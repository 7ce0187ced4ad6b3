"""A whole fetch: finds what is missing, has it staged, and makes or extends the archive of it.

Called by `kobe data fetch`. The archive appears whole or not at all; a fetch that was killed
anywhere and started again ends in the same one.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec.structs import replace

from services.data_fetcher.backfill.fetch import FetchSource
from services.data_fetcher.backfill.plan import (
    ActionsUnit,
    BarsUnit,
    FetchRequest,
    Unit,
    units_of,
)
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.bar_columns import join_bars
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from shared.schemas.corporate_actions import CorporateActions

NAMED = 5
StageUnits = Callable[[Sequence[Unit], Staging], None]
"""Has every unit staged: by threads of this process, or by workers elsewhere."""


class FetchResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive holds now; `without_bars` are symbols the vendor had none of."""

    fetched: bool
    digest: str
    symbols: int
    first: dt.date
    last: dt.date
    basis: str
    refused: dict[str, int]
    without_bars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request, whom to ask, and where the archive is."""

    request: FetchRequest
    source: FetchSource
    archive: Path

    def run(self, stage: StageUnits) -> FetchResult:
        """Raises UserError if the vendor has nothing, TransientError if it does not answer."""
        kept = self._archive()
        request = self._missing(kept)
        staging = Staging(self.archive, self.request.key)
        if kept and request is None:
            staging.clear()
            return self._result(kept, fetched=False)
        wanted = request or self.request
        units = units_of(wanted, with_actions=self.source.actions is not None)
        stage(units, staging)
        made = self._extend(units, staging) if request else self._create(units, staging)
        staging.clear()
        return self._result(made, fetched=True)

    def _archive(self) -> BarArchive | None:
        """The archive that is there, if vendor, symbols and first day are the same."""
        if not BarArchive.exists(self.archive):
            return None
        try:
            archive = BarArchive.open(self.archive)
        except UserError:  # damaged: it is made anew
            return None
        request = self.request
        earlier = sessions_between(request.start, archive.sessions[0])
        same = archive.manifest.source == request.source
        return archive if same and archive.intact and earlier.size <= 1 else None

    def _missing(self, kept: BarArchive | None) -> FetchRequest | None:
        """What an archive lacks at its end; None if nothing, or if there is no archive."""
        if kept is None or kept.sessions[-1] >= self._last_session:
            return None
        return replace(self.request, start=kept.sessions[-1])

    @property
    def _last_session(self) -> dt.date:
        sessions = sessions_between(self.request.start, self.request.end)
        if not sessions.size:
            raise UserError(
                f"There is no session from {self.request.start} to {self.request.end}; choose "
                f"other dates."
            )
        last: dt.date = sessions[-1].item()
        return last

    def _create(self, units: Sequence[Unit], staging: Staging) -> BarArchive:
        bars, actions = _collect(units, staging)
        request = self.request
        if not bars.row.size:
            raise UserError(
                f"The vendor {request.vendor!r} has not one bar of {_name_some(request.symbols)} "
                f"from "
                f"{request.start} to {request.end}; check the symbols and the dates."
            )
        return writer.create(
            self.archive,
            bars,
            basis=self.source.bars.basis,
            source=request.source,
            actions=self._factors(actions),
        )

    def _factors(self, actions: CorporateActions) -> CorporateActions:
        """Splits are in split-adjusted prices already."""
        return actions if self.source.bars.basis is Basis.RAW else replace(actions, splits=())

    def _extend(self, units: Sequence[Unit], staging: Staging) -> BarArchive:
        bars, actions = _collect(units, staging)
        return writer.append(self.archive, bars, actions=self._factors(actions))

    def _result(self, archive: BarArchive, *, fetched: bool) -> FetchResult:
        return FetchResult(
            fetched=fetched,
            digest=archive.digest(),
            symbols=len(archive.symbols),
            first=archive.sessions[0],
            last=archive.sessions[-1],
            basis=str(archive.manifest.basis),
            refused=dict(archive.refused),
            without_bars=tuple(sorted({*self.request.symbols} - {*archive.symbols})),
        )


def _collect(units: Sequence[Unit], staging: Staging) -> tuple[Bars, CorporateActions]:
    bars = join_bars(staging.read_bars(unit) for unit in units if isinstance(unit, BarsUnit))
    actions = [staging.read_actions(unit) for unit in units if isinstance(unit, ActionsUnit)]
    return bars, merge_actions(actions)


def merge_actions(parts: Iterable[CorporateActions]) -> CorporateActions:
    """All of them, each once, by date, then symbol."""
    every = list(parts)
    splits = {split for part in every for split in part.splits}
    dividends = {dividend for part in every for dividend in part.dividends}
    return CorporateActions(
        splits=tuple(sorted(splits, key=lambda each: (each.ex_date, each.symbol))),
        dividends=tuple(sorted(dividends, key=lambda each: (each.ex_date, each.symbol))),
    )


def _name_some(symbols: Sequence[str]) -> str:
    more = len(symbols) - NAMED
    return ", ".join(symbols[:NAMED]) + (f" and {more} more" if more > 0 else "")
