import datetime as dt
from pathlib import Path

import numpy as np

from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.mirrored_vendor import Endless
from shared.domain.market.refusals import refuse_impossible
from shared.runtime.archive import writer
from shared.runtime.archive.archive import BarArchive
from tests.bar_rows import bar_rows, trading_days
from tests.unit.data_fetcher.test_data_fetcher_bars import FakeVendor

DAYS = trading_days(dt.date(2024, 1, 1), 40)
REAL = 6


def sessions(after: dt.date, through: dt.date) -> list[dt.date]:
    return [day for day in DAYS if after < day <= through]


def endless() -> Endless:
    return Endless(FakeVendor(bar_rows({"A": REAL, "B": REAL}, start=DAYS[0])), sessions)


def test_without_an_end_only_the_real_bars_come() -> None:
    bars = endless().daily_bars(("A", "B"), None, None)
    assert bars.row.size == 2 * REAL
    assert bars.session.max().item() == DAYS[REAL - 1]


def test_after_the_real_bars_they_run_backwards_then_forwards_again() -> None:
    bars = endless().daily_bars(("A",), None, DAYS[-1])
    assert bars.session.tolist() == DAYS
    real = bars.close[:REAL].tolist()
    assert bars.open[REAL : 2 * REAL].tolist() == real[::-1]
    assert bars.close[2 * REAL : 3 * REAL].tolist() == real
    assert bars.open[3 * REAL : 4 * REAL].tolist() == real[::-1]
    assert bars.high[REAL] == bars.high[REAL - 1]


def test_a_price_does_not_jump_where_the_direction_turns() -> None:
    bars = endless().daily_bars(("A",), None, DAYS[-1])
    for turn in (REAL, 2 * REAL, 3 * REAL):
        assert bars.open[turn] == bars.close[turn - 1]


def test_every_bar_of_it_is_possible() -> None:
    _, refusals = refuse_impossible(endless().daily_bars(("A", "B"), None, DAYS[-1]))
    assert refusals == []


def test_an_archive_that_grows_with_it_is_the_same_as_one_fetched_at_once(tmp_path: Path) -> None:
    grown = ArchiveUpdater(tmp_path / "grown", "fake", endless(), Universe())
    grown.ensure()
    for number in (9, 20, 39):
        grown.fetch(DAYS[number])
    bars = endless().daily_bars(("A", "B"), None, DAYS[-1])
    at_once = writer.create(tmp_path / "once", bars, basis=endless().basis, source="s")
    archive = BarArchive.open(tmp_path / "grown")
    assert archive.manifest.digests == at_once.manifest.digests
    assert np.array_equal(archive.panel().open, at_once.panel().open)


def test_a_restart_keeps_what_has_grown(tmp_path: Path) -> None:
    for _ in range(2):
        updater = ArchiveUpdater(tmp_path, "fake", endless(), Universe())
        updater.ensure()
        updater.fetch(DAYS[20])
    assert len(BarArchive.open(tmp_path).sessions) == 21
    ArchiveUpdater(tmp_path, "fake", endless(), Universe()).ensure()
    assert len(BarArchive.open(tmp_path).sessions) == 21
