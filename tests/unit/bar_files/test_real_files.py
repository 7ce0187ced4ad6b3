"""The reference files: what they hold is read, and each known flaw of them is found."""

from pathlib import Path

import numpy as np
import pytest

from shared.domain.market.adjustment import Basis
from shared.runtime.bar_files.actions import read_splits
from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.bar_files.reader import read_files
from tests.unit.bar_files.files import sentence


def test_the_five_hundred_are_read_whole(shared_folder: Path) -> None:
    read = read_files(shared_folder / "data" / "sp500_daily.parquet")
    assert read.panel.shape == (506, 2515)
    assert np.isfinite(read.panel.close).sum() == 1_235_021 - 10
    assert read.refused == {"open_outside_range": 10}
    assert sum(str(each.session) == "2026-03-13" for each in read.refusals) == 9
    assert read.basis is Basis.SPLIT
    assert read.jumps == ()
    assert read.summary.startswith(
        "sp500_daily.parquet: plain columns, 506 symbols, 2016-03-14 to 2026-03-13, by its looks "
        "split-adjusted"
    )


def test_the_members_of_2018_show_their_flaws(shared_folder: Path) -> None:
    read = read_files(shared_folder / "data" / "sp500_2013_2018.parquet")
    assert read.panel.symbols[:2] == ("A", "AAL")
    assert len(read.panel.symbols) == 505
    assert sum(read.refused.values()) == 13 - 1
    assert read.basis is Basis.SPLIT
    falls = {(jump.symbol, str(jump.session)) for jump in read.jumps}
    assert {("DISCA", "2014-08-07"), ("DISCK", "2014-08-07"), ("NI", "2015-07-02")} <= falls
    assert ("EBAY", "2015-07-20") in falls


def test_raw_prices_are_refused_and_their_splits_adjust_them(shared_folder: Path) -> None:
    file = shared_folder / "data" / "raw_unadjusted_daily.parquet"
    assert "AAPL 2000-06-21" in sentence(file)
    splits = read_splits(shared_folder / "data" / "raw_factors.csv")
    assert {(s.symbol, str(s.ex_date), str(s.ratio)) for s in splits} >= {
        ("AAPL", "2000-06-21", "2"),
        ("AAPL", "2005-02-28", "2"),
        ("AAPL", "2014-06-09", "7"),
        ("AAPL", "2020-08-31", "4"),
        ("AIG", "2009-07-01", "0.05"),
        ("USO", "2020-04-29", "0.125"),
    }
    read = read_files(file, ReadOptions(splits=splits))
    apple = read.panel.close[read.panel.row("AAPL")]
    day = int(np.searchsorted(read.panel.sessions, np.datetime64("2014-06-06")))
    assert apple[day] == pytest.approx(645.57 / 28, abs=1e-4)
    assert read.basis is Basis.SPLIT
    left = [(jump.symbol, str(jump.session)) for jump in read.jumps if jump.is_clear]
    assert left == [("GOOG", "2014-04-03")]  # class C shares, of which the factors know nothing
