import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.data_fetcher.archive_updater import ArchiveUpdater, Universe
from services.data_fetcher.bar_selection import select_bars
from services.data_fetcher.handlers import HANDLERS, State, gauges
from services.data_fetcher.work import DataFetcherWork
from shared.domain.errors import TransientError, UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import Bars
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import ManualClock
from shared.schemas.messages import BarsDue, BarsReady, ScanDue
from tests.bar_rows import bar_rows, trading_days
from tests.builders import NOON, scan_ref
from tests.turning import Turning

DAYS = trading_days(dt.date(2024, 1, 1), 12)


class FakeVendor:
    """Holds some bars; as a vendor of files it has a source, over a network none."""

    basis = Basis.SPLIT

    def __init__(self, bars: Bars, source: str = "files 1") -> None:
        self.bars, self.name, self.away = bars, source, False
        self.asked: list[tuple[dt.date | None, dt.date | None]] = []

    def source(self) -> str:
        return self.name

    def symbols(self) -> tuple[str, ...]:
        return tuple(sorted(self.bars.symbols))

    def daily_bars(
        self, symbols: Sequence[str], start: dt.date | None, end: dt.date | None
    ) -> Bars:
        if self.away:
            raise TransientError("the vendor does not answer")
        self.asked.append((start, end))
        return select_bars(self.bars, symbols, start, end)


class NoQuotes:
    def latest_quotes(self, symbols: Sequence[str]) -> dict[str, Any]:
        return {}


def through(bars: Bars, last: dt.date) -> Bars:
    return select_bars(bars, bars.symbols, None, last)


def without(bars: Bars, symbol: str, *days: dt.date) -> Bars:
    gone = (bars.row == bars.symbols.index(symbol)) & np.isin(
        bars.session, np.array(days, "datetime64[D]")
    )
    return bars.only(~gone)


def all_bars(symbols: int = 4) -> Bars:
    return bar_rows({f"S{number}": len(DAYS) for number in range(symbols)}, start=DAYS[0])


def sessions(after: dt.date, day: dt.date) -> list[dt.date]:
    return [each for each in DAYS if after < each <= day]


def fetcher(folder: Path, vendor: FakeVendor, **universe: Any) -> Turning:
    updater = ArchiveUpdater(folder, "fake", vendor, Universe(**universe))
    work = DataFetcherWork(updater, NoQuotes(), ManualClock(NOON), sessions)
    turning = Turning(HANDLERS, State(), work)
    work.recover(turning.state)
    return turning


def ready(turning: Turning, last_completed: dt.date) -> BarsReady:
    scan = scan_ref(id=f"SCAN_{last_completed}", last_completed=last_completed)
    turning.hear(ScanDue(scan=scan))
    (said,) = turning.act_all()
    assert isinstance(said, BarsReady)
    assert said.scan == scan
    return said


def test_a_vendor_of_files_fills_the_archive_at_the_start_once(tmp_path: Path) -> None:
    vendor = FakeVendor(all_bars())
    for _ in range(3):
        fetcher(tmp_path, vendor)
    assert vendor.asked == [(None, None)]
    assert len(BarArchive.open(tmp_path).sessions) == 12


@pytest.mark.parametrize("change", ["source", "universe", "damage", "arrays"])
def test_the_archive_is_made_anew_when_it_is_of_other_bars_or_damaged(
    tmp_path: Path, change: str
) -> None:
    fetcher(tmp_path, FakeVendor(all_bars()))
    vendor = FakeVendor(all_bars(), "files 2" if change == "source" else "files 1")
    if change == "damage":
        (tmp_path / "manifest.json").write_text("{")
    if change == "arrays":
        next(tmp_path.glob("arrays/*/high.npy")).unlink()
    fetcher(tmp_path, vendor, symbols=("S1", "S2") if change == "universe" else ())
    assert len(vendor.asked) == (0 if change == "arrays" else 1)
    archive = BarArchive.open(tmp_path)
    assert archive.intact
    assert archive.symbols == (("S1", "S2") if change == "universe" else ("S0", "S1", "S2", "S3"))


def test_a_scan_is_told_what_the_archive_holds_up_to_its_last_completed_session(
    tmp_path: Path,
) -> None:
    said = ready(fetcher(tmp_path, FakeVendor(all_bars())), DAYS[7])
    archive = BarArchive.open(tmp_path)
    assert (said.through, said.digest, said.symbols) == (DAYS[7], archive.digest(DAYS[7]), 4)
    assert (said.coverage, said.sufficient, said.stale) == (Decimal("1.0000"), True, ())


def test_a_symbol_without_the_bar_is_stale_and_lowers_the_coverage(tmp_path: Path) -> None:
    turning = fetcher(tmp_path, FakeVendor(without(all_bars(), "S2", DAYS[7])))
    said = ready(turning, DAYS[7])
    assert (said.coverage, said.sufficient, said.stale) == (Decimal("0.7500"), False, ("S2",))
    assert ready(turning, DAYS[8]).sufficient


@pytest.mark.parametrize(("minimum", "sufficient"), [("0.75", True), ("0.7501", False)])
def test_the_minimum_itself_is_enough(tmp_path: Path, minimum: str, sufficient: bool) -> None:
    vendor = FakeVendor(without(all_bars(), "S2", DAYS[7]))
    turning = fetcher(tmp_path, vendor, minimum_coverage=Decimal(minimum))
    assert ready(turning, DAYS[7]).sufficient is sufficient


def test_a_symbol_not_listed_yet_is_not_expected(tmp_path: Path) -> None:
    said = ready(fetcher(tmp_path, FakeVendor(without(all_bars(), "S0", *DAYS[:6]))), DAYS[4])
    assert (said.coverage, said.stale) == (Decimal("1.0000"), ())


def test_a_symbol_that_ended_is_expected_for_five_sessions_and_stale_for_ever(
    tmp_path: Path,
) -> None:
    turning = fetcher(tmp_path, FakeVendor(without(all_bars(), "S0", *DAYS[3:])))
    said = [ready(turning, day) for day in DAYS[2:10]]
    assert [each.sufficient for each in said] == [
        True,
        False,
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    assert [each.stale for each in said] == [(), *[("S0",)] * 7]


def test_half_the_universe_missing_is_not_sufficient(tmp_path: Path) -> None:
    bars = without(without(all_bars(), "S0", DAYS[-1]), "S1", DAYS[-1])
    said = ready(fetcher(tmp_path, FakeVendor(bars)), DAYS[-1])
    assert (said.coverage, said.sufficient) == (Decimal("0.5000"), False)


def test_bars_of_last_week_are_not_sufficient_for_today(tmp_path: Path) -> None:
    said = ready(fetcher(tmp_path, FakeVendor(through(all_bars(), DAYS[4]))), DAYS[9])
    assert (said.coverage, said.sufficient) == (Decimal(0), False)
    assert said.stale == ("S0", "S1", "S2", "S3")
    assert said.digest == BarArchive.open(tmp_path).digest()


def test_a_scan_whose_bar_is_missing_asks_the_vendor_once_more(tmp_path: Path) -> None:
    vendor = FakeVendor(through(all_bars(), DAYS[4]), source="")
    turning = fetcher(tmp_path, vendor)
    turning.hear(BarsDue(through=DAYS[4]))
    turning.act_all()
    vendor.bars = all_bars()
    assert ready(turning, DAYS[5]).sufficient
    assert vendor.asked[-1] == (DAYS[4], DAYS[5])


def test_a_scan_does_not_wait_for_a_vendor_that_is_away(tmp_path: Path) -> None:
    vendor = FakeVendor(through(all_bars(), DAYS[4]), source="")
    turning = fetcher(tmp_path, vendor)
    turning.hear(BarsDue(through=DAYS[4]))
    turning.act_all()
    vendor.away = True
    assert not ready(turning, DAYS[5]).sufficient


def test_a_scan_before_there_are_any_bars_is_answered_too(tmp_path: Path) -> None:
    vendor = FakeVendor(all_bars(), source="")
    vendor.away = True
    said = ready(fetcher(tmp_path, vendor), DAYS[5])
    assert (said.digest, said.symbols, said.sufficient) == ("", 0, False)


def test_bars_that_are_due_are_fetched_from_the_last_session_on_so_that_late_ones_come_in(
    tmp_path: Path,
) -> None:
    vendor = FakeVendor(without(through(all_bars(), DAYS[5]), "S1", DAYS[5]), source="")
    turning = fetcher(tmp_path, vendor, history_years=1)
    turning.hear(BarsDue(through=DAYS[5]))
    (first,) = turning.act_all()
    vendor.bars = all_bars()
    turning.hear(BarsDue(through=DAYS[6]))
    (second,) = turning.act_all()
    assert isinstance(first, BarsReady)
    assert isinstance(second, BarsReady)
    assert (first.scan, first.coverage, second.coverage) == (
        None,
        Decimal("0.7500"),
        Decimal("1.0000"),
    )
    assert vendor.asked == [(DAYS[5] - dt.timedelta(days=365), DAYS[5]), (DAYS[5], DAYS[6])]
    panel = BarArchive.open(tmp_path).panel()
    assert np.isfinite(panel.close).all()


def test_bars_that_are_due_stay_due_until_the_vendor_answers(tmp_path: Path) -> None:
    vendor = FakeVendor(all_bars(), source="")
    turning = fetcher(tmp_path, vendor)
    vendor.away = True
    turning.hear(BarsDue(through=DAYS[5]))
    with pytest.raises(TransientError):
        turning.act()
    vendor.away = False
    assert turning.act()
    assert turning.act() is None


def test_impossible_bars_are_counted_and_shown(tmp_path: Path) -> None:
    bars = all_bars()
    low = bars.low.copy()
    low[3], low[20] = -1, bars.high[20] + 1
    turning = fetcher(
        tmp_path,
        FakeVendor(
            Bars(
                bars.symbols,
                bars.row,
                bars.session,
                bars.open,
                bars.high,
                low,
                bars.close,
                bars.volume,
            )
        ),
    )
    assert ready(turning, DAYS[-1]).refused == {"high_below_low": 1, "not_positive": 1}
    shown = {(each.name, *each.labels.values()): each.value for each in gauges(turning.state)}
    assert shown["kobe_bars_refused", "not_positive"] == 1
    assert shown["kobe_bars_coverage_ratio",] == 1
    assert shown["kobe_bars_age_sessions",] == 0


def test_how_far_the_archive_is_behind_is_shown_in_sessions(tmp_path: Path) -> None:
    turning = fetcher(tmp_path, FakeVendor(through(all_bars(), DAYS[4])))
    ready(turning, DAYS[9])
    assert {each.name: each.value for each in gauges(turning.state)}["kobe_bars_age_sessions"] == 5


def test_a_universe_the_vendor_does_not_have_or_that_is_too_large_is_said_in_a_sentence(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match="no bars of ZZZ"):
        fetcher(tmp_path, FakeVendor(all_bars()), symbols=("S1", "ZZZ"))
    with pytest.raises(UserError, match=r"4 symbols but universe\.maximum is 3"):
        fetcher(tmp_path, FakeVendor(all_bars()), maximum=3)
