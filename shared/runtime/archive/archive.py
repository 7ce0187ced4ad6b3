"""The bar archive: Parquet is the truth, memory-mapped (symbols, bars) arrays and a chain of digests derive from it.

One writer (the data-fetcher), many readers; a value of this class is one consistent view. What is
written is written aside and renamed, the manifest last, so a crash leaves the former view. It never
repairs or takes back a bar.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Panel
from shared.domain.market.refusals import RefusedBar
from shared.runtime.archive import parquet as bar_parquet
from shared.runtime.archive.manifest import ARRAYS, MANIFEST, REFUSALS, Manifest, read_manifest

_OVERTAKEN = 5


@dataclass(frozen=True, slots=True)
class BarArchive:
    """One view; what the writer appends later is seen by opening again."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> BarArchive:
        """UserError if there is no readable archive."""
        return cls(folder, read_manifest(folder))

    @classmethod
    def exists(cls, folder: Path) -> bool:
        return (folder / MANIFEST).is_file()

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
        return bar_parquet.read_refusals(self.folder / REFUSALS)

    @property
    def intact(self) -> bool:
        """Whether the arrays are there with the size they must have."""
        shape = (len(self.symbols), len(self.sessions))
        return all(
            array is not None and array.shape == shape and array.dtype == np.float64
            for array in (_mapped(self._array(name)) for name in FIELDS)
        )

    def digest(self, through: dt.date | None = None) -> str:
        """The chained digest of the sessions up to and with `through` (all of them if None); "" if there are none."""
        count = self.bars_through(through)
        return self.manifest.digests[count - 1] if count else ""

    def bars_through(self, through: dt.date | None) -> int:
        """How many sessions there are up to and with `through`."""
        return len(self.sessions) if through is None else bisect_right(self.sessions, through)

    def panel(self, through: dt.date | None = None) -> Panel:
        """The bars up to and with `through`, memory-mapped and read-only."""
        view = self
        for _ in range(_OVERTAKEN):
            fields = {name: _mapped(view._array(name)) for name in FIELDS}
            arrays = {name: array for name, array in fields.items() if array is not None}
            if len(arrays) == len(FIELDS):
                sessions = np.array(view.sessions, "datetime64[D]")
                return Panel(view.symbols, sessions, **arrays).first(
                    view.bars_through(through or self.sessions[-1])
                )
            view = BarArchive.open(
                self.folder
            )  # the writer has gone on: later bars are cut off above
        raise UserError(
            f"The arrays of the bar archive {self.folder} are missing or damaged; fetch the bars again."
        )

    def _array(self, name: str) -> Path:
        return self.folder / ARRAYS / self.manifest.generation / f"{name}.npy"


def _mapped(path: Path) -> np.memmap[tuple[int, int], np.dtype[np.float64]] | None:
    try:
        array: np.memmap[tuple[int, int], np.dtype[np.float64]] = np.load(
            path, mmap_mode="r", allow_pickle=False
        )
    except (OSError, ValueError, EOFError):
        return None
    return array
