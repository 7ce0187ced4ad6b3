"""The archive kept over a network vendor.

Splits as they are announced, damage found, a copy elsewhere.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.bar_selection import select_bars
from services.data_fetcher.vendor_registry import NameChanges
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import PRICES, Bars
from shared.runtime.archive import remote
from shared.runtime.archive.archive import BarArchive
from shared.schemas.corporate_actions import CorporateActions, Split
from tests.bar_rows import bar_rows, trading_days

DAYS = trading_days(dt.date(2024, 1, 2), 60)
SYMBOLS = ("AAPL", "IBM")
EX_DATE = DAYS[40]
SPLIT = Split(symbol="AAPL", ex_date=EX_DATE, new=Decimal(4), old=Decimal(1))


class NetworkVendor:
    """Raw bars with a 4:1 split, and the announcement from a day on."""

    def __init__(self, basis: Basis = Basis.RAW) -> None:
        self.basis, self.asked, self.announced = basis, 0, True
        bars = bar_rows(dict.fromkeys(SYMBOLS, 60), start=DAYS[0])
        after = (bars.row == 0) & (bars.session >= np.datetime64(EX_DATE))
        prices = {
            name: np.where(after, (getattr(bars, name) / 4).round(4), getattr(bars, name))
            for name in PRICES
        }
        self._bars = replace(bars, volume=np.where(after, bars.volume * 4, bars.volume), **prices)

    def source(self) -> str:
        return ""

    def symbols(self) -> tuple[str, ...]:
        return ()

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        self.asked += 1
        return select_bars(self._bars, symbols, start, end)

    def corporate_actions(
        self, symbols: Sequence[str], start: dt.date, end: dt.date
    ) -> CorporateActions:
        is_due = self.announced and start <= SPLIT.ex_date <= end
        return CorporateActions(splits=(SPLIT,) if is_due else ())

    def name_changes(self, symbols: Sequence[str], start: dt.date, end: dt.date) -> NameChanges:
        return NameChanges()


def updater(folder: Path, vendor: NetworkVendor, mirror: str = "") -> ArchiveUpdater:
    return ArchiveUpdater(
        folder, "fake", vendor, Universe(symbols=SYMBOLS), actions=vendor, mirror=mirror
    )


def test_a_split_is_applied_when_its_session_is_next(tmp_path: Path) -> None:
    keeping = updater(tmp_path, NetworkVendor())
    for day in DAYS[30:45]:
        keeping.fetch(day)
    archive = BarArchive.open(tmp_path)
    panel = archive.panel()
    assert archive.refused == {}
    assert np.isfinite(panel.close).all()
    assert np.abs(panel.close[0, 1:] / panel.close[0, :-1] - 1).max() < 0.01
    whole = updater(tmp_path / "whole", NetworkVendor())
    whole.fetch(DAYS[44])
    assert BarArchive.open(tmp_path / "whole").digest() == archive.digest()


def test_a_split_nobody_announced_makes_its_symbol_stale(tmp_path: Path) -> None:
    vendor = NetworkVendor()
    vendor.announced = False
    keeping = updater(tmp_path, vendor)
    for day in DAYS[38:41]:
        keeping.fetch(day)
    ready = keeping.report(DAYS[40], None)
    assert ready.stale == ("AAPL",)
    assert ready.refused == {"unexplained_jump": 1}
    vendor.announced = True
    keeping.fetch(DAYS[40])
    assert keeping.report(DAYS[40], None).stale == ()


def test_splits_are_left_out_where_prices_have_them_already(tmp_path: Path) -> None:
    keeping = updater(tmp_path, NetworkVendor(Basis.SPLIT))
    keeping.fetch(DAYS[20])
    assert BarArchive.open(tmp_path).actions.splits == ()


def test_what_is_archived_is_said(tmp_path: Path) -> None:
    vendor = NetworkVendor()
    vendor.announced = False
    keeping = updater(tmp_path, vendor)
    keeping.fetch(DAYS[50])
    ready = keeping.report(DAYS[50], None)
    assert (ready.basis, ready.missing, ready.jumps) == ("raw", 0, ("AAPL",))


@pytest.mark.parametrize("pattern", ["bars/*.parquet", "factors-*.parquet", "manifest.json"])
def test_damage_is_found_at_the_start_kept_aside_and_restored_from_the_vendor(
    tmp_path: Path, pattern: str
) -> None:
    vendor = NetworkVendor()
    updater(tmp_path, vendor).fetch(DAYS[50])
    digest = BarArchive.open(tmp_path).digest()
    file = next(tmp_path.glob(pattern))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)
    keeping = updater(tmp_path, vendor)
    keeping.ensure()
    assert keeping.last is None
    keeping.fetch(DAYS[50])
    assert vendor.asked == 2
    assert BarArchive.open(tmp_path).digest() == digest
    assert list(tmp_path.glob(f"damaged-*/{pattern}"))


def test_damaged_arrays_are_derived_again_without_asking(tmp_path: Path) -> None:
    vendor = NetworkVendor()
    updater(tmp_path, vendor).fetch(DAYS[50])
    next(tmp_path.glob("arrays/*/low.npy")).write_bytes(b"torn")
    keeping = updater(tmp_path, vendor)
    keeping.ensure()
    assert keeping.last == DAYS[50]
    assert vendor.asked == 1
    assert BarArchive.open(tmp_path).faults() == []


def test_a_copy_behind_a_url_follows(tmp_path: Path) -> None:
    keeping = updater(tmp_path / "here", NetworkVendor(), "memory://mirror/bars")
    keeping.fetch(DAYS[30])
    keeping.fetch(DAYS[31])
    pulled = remote.pull("memory://mirror/bars", tmp_path / "there")
    assert pulled.digest() == BarArchive.open(tmp_path / "here").digest()


def test_settling_changes_nothing_but_the_arrays(tmp_path: Path) -> None:
    keeping = updater(tmp_path, NetworkVendor())
    keeping.fetch(DAYS[30])
    keeping.fetch(DAYS[32])
    before = BarArchive.open(tmp_path)
    keeping.settle()
    after = BarArchive.open(tmp_path)
    assert (before.manifest.tail != "", after.manifest.tail) == (True, "")
    assert np.array_equal(before.panel().close, after.panel().close)
    assert before.digest() == after.digest()
