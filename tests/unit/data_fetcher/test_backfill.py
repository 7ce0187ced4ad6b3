import datetime as dt
import errno
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import pytest

from services.data_fetcher.backfill.fetch import FetchSource, fetch_units
from services.data_fetcher.backfill.plan import (
    ActionsUnit,
    BarsUnit,
    FetchRequest,
    Unit,
    units_of,
)
from services.data_fetcher.backfill.progress import Progress, duration
from services.data_fetcher.backfill.run import Fetch, FetchResult
from services.data_fetcher.backfill.staging import Staging
from services.data_fetcher.vendor_http.client import Patience
from services.data_fetcher.vendor_registry import VendorPlace, actions_vendor, bars_vendor
from shared.domain.errors import TransientError, UserError
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.archive import parts
from shared.runtime.archive.archive import BarArchive
from shared.runtime.clock import ManualClock
from shared.schemas.corporate_actions import CashDividend, Split
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import RecordedMarket, walks
from tests.recorded.vendor import recorded_vendor

pytestmark = pytest.mark.slow

FIRST, LAST = dt.date(2020, 4, 1), dt.date(2020, 12, 31)
SYMBOLS = tuple(f"S{number:02}" for number in range(45))
MARKET = RecordedMarket(
    walks(SYMBOLS, sessions_between(FIRST, LAST).tolist(), seed=8),
    splits=(Split(symbol="S07", ex_date=dt.date(2020, 8, 31), new=Decimal(4), old=Decimal(1)),),
    dividends=(CashDividend(symbol="S03", ex_date=dt.date(2020, 5, 8), amount=Decimal("0.82")),),
)
BOTH = ["massive", "alpaca"]


def request(vendor: str, start: dt.date = FIRST, end: dt.date = LAST) -> FetchRequest:
    return FetchRequest(vendor=vendor, symbols=SYMBOLS, start=start, end=end)


@dataclass
class Subject:
    place: VendorPlace
    server: Recorder
    clock: ManualClock
    archive: Path
    reports: list[Progress] = field(default_factory=list)

    def source(self, vendor: str) -> FetchSource:
        place = replace(self.place, patience=Patience(tries=1))
        return FetchSource(bars_vendor(vendor, place), actions_vendor(vendor, place))

    def fetch(self, wanted: FetchRequest, archive: Path | None = None) -> FetchResult:
        source = self.source(wanted.vendor)

        def stage(units: Sequence[Unit], staging: Staging) -> None:
            fetch_units(
                units,
                source,
                staging,
                concurrency=1,
                clock=self.clock,
                report=self.reports.append,
            )

        return Fetch(wanted, source, archive or self.archive).run(stage)


@pytest.fixture
def subjects(tmp_path: Path) -> Iterator[dict[str, Subject]]:
    found = {}
    with ExitStack() as stack:
        for name in BOTH:
            clock = ManualClock(dt.datetime(2021, 1, 4, 15, tzinfo=dt.UTC))
            served = recorded_vendor(name, MARKET, stack, tmp_path, clock)
            assert served.server is not None
            found[name] = Subject(served.place, served.server, clock, tmp_path / name)
        yield found


@pytest.fixture(params=BOTH)
def subject(request: pytest.FixtureRequest, subjects: dict[str, Subject]) -> tuple[str, Subject]:
    return request.param, subjects[request.param]


def test_both_vendors_make_the_same_archive(subjects: dict[str, Subject]) -> None:
    results = [subjects[name].fetch(request(name)) for name in BOTH]
    assert results[0].digest == results[1].digest
    assert (results[0].first, results[0].last) == (FIRST, LAST)
    assert results[0].symbols == 45
    assert results[0].without_bars == ()
    assert results[0].refused == {}


def test_a_fetch_that_broke_off_goes_on_where_it_was_and_ends_in_the_same_archive(
    subject: tuple[str, Subject], tmp_path: Path
) -> None:
    name, subject_ = subject
    whole = subject_.fetch(request(name), tmp_path / "whole")
    subject_.server.add(
        Fault(Kind.STATUS, path="/v2/", skip=30 if name == "massive" else 2, times=99)
    )
    with pytest.raises(TransientError, match="HTTP 503"):
        subject_.fetch(request(name))
    assert not BarArchive.exists(subject_.archive)
    subject_.server.clear()
    again = subject_.fetch(request(name))
    assert again.digest == whole.digest
    assert subject_.reports[-1].resumed > 0
    assert not list(subject_.archive.glob(".fetching/*"))


def test_an_archive_that_has_it_all_asks_nobody(subject: tuple[str, Subject]) -> None:
    name, subject_ = subject
    first = subject_.fetch(request(name))
    asked = len(subject_.server.requests)
    again = subject_.fetch(request(name))
    assert (again.fetched, again.digest) == (False, first.digest)
    assert len(subject_.server.requests) == asked


def test_later_sessions_are_appended_and_make_the_archive_that_a_whole_fetch_makes(
    subject: tuple[str, Subject], tmp_path: Path
) -> None:
    name, subject_ = subject
    whole = subject_.fetch(request(name), tmp_path / "whole")
    subject_.fetch(request(name, end=dt.date(2020, 12, 18)))
    asked = len(subject_.server.asked("/v2/"))
    extended = subject_.fetch(request(name))
    assert extended.digest == whole.digest
    assert len(subject_.server.asked("/v2/")) - asked <= 10


def test_an_earlier_start_makes_the_archive_anew(subject: tuple[str, Subject]) -> None:
    name, subject_ = subject
    subject_.fetch(request(name, start=dt.date(2020, 9, 1)))
    assert subject_.fetch(request(name)).first == FIRST


def test_a_staged_file_that_is_damaged_is_fetched_again(
    subject: tuple[str, Subject], tmp_path: Path
) -> None:
    name, subject_ = subject
    whole = subject_.fetch(request(name), tmp_path / "whole")
    subject_.server.add(
        Fault(Kind.STATUS, path="/v2/", skip=30 if name == "massive" else 2, times=99)
    )
    with pytest.raises(TransientError):
        subject_.fetch(request(name))
    subject_.server.clear()
    for file in subject_.archive.glob(".fetching/*/*.parquet"):
        file.write_bytes(file.read_bytes()[:50])
    assert subject_.fetch(request(name)).digest == whole.digest


def test_symbols_the_vendor_does_not_have_are_named(subject: tuple[str, Subject]) -> None:
    name, subject_ = subject
    wanted = replace_symbols(request(name), ("S01", "ZZZY", "ZZZZ"))
    result = subject_.fetch(wanted)
    assert result.without_bars == ("ZZZY", "ZZZZ")
    with pytest.raises(UserError, match="has not one bar of ZZZY, ZZZZ from 2020-04-01"):
        subject_.fetch(replace_symbols(request(name), ("ZZZY", "ZZZZ")))


def replace_symbols(wanted: FetchRequest, symbols: tuple[str, ...]) -> FetchRequest:
    return FetchRequest(vendor=wanted.vendor, symbols=symbols, start=wanted.start, end=wanted.end)


def test_dates_without_a_session_are_said(subjects: dict[str, Subject]) -> None:
    weekend = dt.date(2020, 6, 6)
    subjects["alpaca"].fetch(request("alpaca"))
    with pytest.raises(UserError, match="no session from 2020-06-06 to 2020-06-07"):
        subjects["alpaca"].fetch(request("alpaca", weekend, weekend + dt.timedelta(days=1)))


def test_a_full_disk_is_one_sentence_and_what_was_fetched_is_kept(
    subjects: dict[str, Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = subjects["alpaca"]
    written: list[Path] = []
    write = parts.write

    def until_full(path: Path, bars: Bars) -> None:
        if len(written) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, bars)
        written.append(path)

    monkeypatch.setattr(parts, "write", until_full)
    with pytest.raises(
        UserError, match=r"No space left on device\. What was fetched is kept"
    ) as full:
        subject.fetch(request("alpaca"))
    assert full.value.exit_code == 74
    monkeypatch.undo()
    assert subject.fetch(request("alpaca")).fetched
    assert subject.reports[-1].resumed == 1


# --- plan and progress ----------------------------------------------------------------------------


def test_long_histories_are_asked_for_by_symbol_and_few_sessions_by_session() -> None:
    long = units_of(request("x"), with_actions=True)
    assert [type(unit) for unit in long] == [BarsUnit] * 3 + [ActionsUnit]
    assert {symbol for unit in long for symbol in unit.symbols} == set(SYMBOLS)
    short = units_of(request("x", start=dt.date(2020, 12, 21)), with_actions=False)
    assert [unit.symbols for unit in short] == [SYMBOLS] * 2
    assert (short[0].start, short[-1].end) == (dt.date(2020, 12, 21), LAST)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (45.4, "45 s"),
        (70, "1 min 10 s"),
        (120, "2 min"),
        (51_120, "14 h 12 min"),
        (3_600, "1 h"),
        (183_600, "2 d 3 h"),
        (90_030, "1 d 1 h"),
    ],
)
def test_durations_are_said_in_their_two_largest_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_progress_tells_pace_and_time_left_from_this_run_alone() -> None:
    at = Progress(done=6, total=10, resumed=4, bars=10_000, seconds=20.0)
    assert at.seconds_left == 40
    assert at.sentence == "6/10 units, 10,000 bars at 500/s, about 40 s left"
    begun = Progress(done=4, total=10, resumed=4, bars=0, seconds=0.0)
    assert begun.sentence == "4/10 units"
