"""The bar archive: Parquet is the truth.

Memory-mapped (symbols, bars) arrays and a chain of digests derive from it.

One writer (the data-fetcher), many readers; a value of this class is one consistent view. The
manifest is replaced last, so a crash leaves the former view. It never repairs or takes back a bar.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis, effective_splits
from shared.domain.market.bars import FIELDS, Bars, Floats, Panel, join_bars
from shared.domain.market.refusals import RefusedBar
from shared.runtime.archive import arrays, chain, parts
from shared.runtime.archive.manifest import (
    MANIFEST,
    PARTS,
    KnownJump,
    Manifest,
    read_manifest,
)
from shared.schemas.corporate_actions import CorporateActions, Split

MOST_OVERTAKEN = 5
"""A reader opens again when the writer has replaced what it was about to map.

More often is a fault.
"""


@dataclass(frozen=True, slots=True)
class BarArchive:
    """One view; what the writer appends later is seen by opening again."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> BarArchive:
        """Raises UserError if there is no readable archive."""
        return cls(folder, read_manifest(folder))

    @classmethod
    def exists(cls, folder: Path) -> bool:
        return (folder / MANIFEST).is_file()

    @property
    def basis(self) -> Basis:
        """Of the bars as archived; the panel of raw bars is adjusted for splits."""
        return self.manifest.basis

    @property
    def symbols(self) -> tuple[str, ...]:
        return self.manifest.symbols

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        return self.manifest.sessions

    @property
    def refused(self) -> Mapping[str, int]:
        """Bars refused, by reason."""
        return self.manifest.refused

    @property
    def refusals(self) -> list[RefusedBar]:
        """Each of them, with its values and where it came from."""
        return parts.read_refusals(self.folder / self.manifest.refusals)

    @property
    def jumps(self) -> tuple[KnownJump, ...]:
        """Split-like jumps that no corporate action explains."""
        return self.manifest.jumps

    @property
    def actions(self) -> CorporateActions:
        """Splits and dividends known of the symbols, past and announced."""
        return parts.read_actions(self.folder / self.manifest.factors)

    @property
    def effective_splits(self) -> tuple[Split, ...]:
        """The splits that the panel is adjusted by."""
        return due_splits(self.manifest.basis, self.actions, self.symbols, self.sessions[-1])

    @property
    def intact(self) -> bool:
        """Whether the arrays are there with the size they must have."""
        return self._fields() is not None

    def digest(self, through: dt.date | None = None) -> str:
        """The chained digest of the sessions through one of them (None: all).

        "" if there are none.
        """
        count = self.bars_through(through)
        return self.manifest.digests[count - 1] if count else ""

    def bars_through(self, through: dt.date | None) -> int:
        """How many sessions there are through one of them."""
        return len(self.sessions) if through is None else bisect_right(self.sessions, through)

    def panel(self, through: dt.date | None = None) -> Panel:
        """The bars through a session, split-adjusted, read-only.

        Memory-mapped, but for some days after an append: then they are copies.
        """
        view = self
        for _ in range(MOST_OVERTAKEN):
            fields = view._fields()
            if fields is not None:
                panel = Panel(view.symbols, np.array(view.sessions, "datetime64[D]"), **fields)
                return panel.first(view.bars_through(through or self.sessions[-1]))
            view = BarArchive.open(self.folder)  # later bars are cut off above
        raise UserError(
            f"The arrays of the bar archive {self.folder} are missing or damaged; "
            "fetch the bars again."
        )

    def tail(self) -> arrays.Tail | None:
        """The sessions after the base; None if their file is damaged."""
        return arrays.read_tail(self.folder, self.manifest.tail, len(self.symbols))

    def raw_panel(self) -> Panel:
        """The bars as archived, from the Parquet parts. Raises UserError if one is damaged."""
        return read_raw(self.folder, self.manifest)

    def raw_session(self, session: dt.date) -> Bars:
        """The bars of one session as archived. Raises UserError if a part is damaged."""
        found = [
            bars.only(bars.session == np.datetime64(session))
            for part in self.manifest.parts
            if part.first <= session <= part.last
            for bars in [parts.read_bars(self.folder / PARTS / part.name)]
        ]
        return join_bars(found)

    def verify_raw_panel(self) -> Panel:
        """The bars as archived.

        Raises UserError if they are not those that the digests speak of.
        """
        raw = self.raw_panel()
        links = chain.extend_chain(chain.first_link(self.basis), raw, self.effective_splits)
        if tuple(links) != self.manifest.digests:
            raise UserError(
                f"The bars in {self.folder} are not those its digests speak of; fetch them again."
            )
        return raw

    def faults(self) -> list[str]:
        """What is damaged, a sentence each.

        Every file against its digest, every bar against the chain.
        """
        found = []
        for part in self.manifest.parts:
            path = self.folder / PARTS / part.name
            if not path.is_file() or digest_file(path) != part.digest:
                found.append(f"The part {part.name} is not what was written.")
        for name in (self.manifest.refusals, self.manifest.factors):
            path = self.folder / name
            if not path.is_file() or not path.stem.endswith(digest_file(path)[:32]):
                found.append(f"The file {name} is not what was written.")
        base = arrays.map_base(self.folder, self.manifest.generation)
        if base is None or arrays.digest_base(base) != self.manifest.base_digest or not self.intact:
            found.append("The arrays are not what was written; they can be derived again.")
        try:
            if not found:
                self.verify_raw_panel()
        except UserError as error:
            found.append(str(error))
        return found

    def _fields(self) -> dict[str, Floats] | None:
        """None if they are not there, or not of the size they must have."""
        manifest = self.manifest
        base, tail = arrays.map_base(self.folder, manifest.generation), self.tail()
        count, kept = len(manifest.sessions), manifest.base_sessions
        if base is None or tail is None or kept + tail.shape[2] != count:
            return None
        rows = len(manifest.symbols)
        if any(field.shape[0] != rows or field.shape[1] < kept for field in base.values()):
            return None
        if not tail.shape[2] and base["close"].shape[1] == kept:
            return base
        return {
            name: _read_only(np.concatenate([base[name][:, :kept], tail[place]], axis=1))
            for place, name in enumerate(FIELDS)
        }

    def recent(self, sessions: int) -> Panel:
        """The last so many sessions, as copies. Raises UserError if the arrays are damaged."""
        base, tail = arrays.map_base(self.folder, self.manifest.generation), self.tail()
        if base is None or tail is None:
            raise UserError(
                f"The arrays of the bar archive {self.folder} are missing or damaged; fetch again."
            )
        kept = self.manifest.base_sessions
        first = max(0, min(kept, len(self.sessions) - sessions))
        fields = {
            name: np.concatenate([base[name][:, first:kept], tail[place]], axis=1)
            for place, name in enumerate(FIELDS)
        }
        days = np.array(self.sessions[first:], "datetime64[D]")
        return Panel(self.symbols, days, **fields)


def digest_file(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_only(field: Floats) -> Floats:
    field.flags.writeable = False
    return field


def due_splits(
    basis: Basis, actions: CorporateActions, symbols: tuple[str, ...], last: dt.date
) -> tuple[Split, ...]:
    """The splits that raw bars of these symbols through `last` are adjusted by; none for others."""
    if basis is not Basis.RAW:
        return ()
    known = set(symbols)
    return effective_splits((each for each in actions.splits if each.symbol in known), last)


def read_raw(folder: Path, manifest: Manifest) -> Panel:
    """The bars of the parts, as they were archived. Raises UserError if a part is damaged."""
    sessions = np.array(manifest.sessions, "datetime64[D]")
    shape = (len(manifest.symbols), sessions.size)
    fields = {name: np.full(shape, np.nan) for name in FIELDS}
    place = {symbol: row for row, symbol in enumerate(manifest.symbols)}
    for part in manifest.parts:
        bars = parts.read_bars(folder / PARTS / part.name)
        row = np.array([place.get(symbol, -1) for symbol in bars.symbols], np.int64)[bars.row]
        column = np.searchsorted(sessions, bars.session)
        if (row < 0).any() or (column == sessions.size).any():
            raise UserError(
                f"The bars in {folder} are not those of its manifest; fetch them again."
            )
        for name in FIELDS:
            fields[name][row, column] = getattr(bars, name)
    return Panel(manifest.symbols, sessions, **fields)
