import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from services.data_fetcher.universe import files
from services.data_fetcher.universe.build import UniverseBuild
from services.data_fetcher.universe.ranking import UniverseProof, UniverseRules
from services.data_fetcher.vendor_http.client import Patience
from services.data_fetcher.vendor_registry import VendorPlace, bars_vendor, listings_vendor
from shared.domain.errors import TransientError, UserError
from shared.domain.market.bars import Bars
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import Listed, RecordedMarket, walks
from tests.recorded.vendor import recorded_vendor

pytestmark = pytest.mark.slow

FIRST, LAST = dt.date(2020, 6, 1), dt.date(2020, 12, 31)
GONE = dt.date(2020, 10, 2)
SESSIONS = sessions_between(FIRST, LAST).tolist()
NAMES = ("BIG", "CHEAP", "GONE", "MIDDLE", "NEW", "NOOPT", "SMALL")
RULES = UniverseRules(minimum_dollar_volume=Decimal(20_000_000))
BOTH = ["massive", "alpaca"]


def market() -> RecordedMarket:
    """Made so that each is in or out for a reason of its own."""
    bars = walks(NAMES, SESSIONS, seed=2)
    row = {name: bars.row == place for place, name in enumerate(NAMES)}
    scale = np.ones(bars.row.size)
    scale[row["CHEAP"]] = 0.1
    prices = {
        name: np.round(getattr(bars, name) * scale, 4) for name in ("open", "high", "low", "close")
    }
    volume = bars.volume.copy()
    volume[row["BIG"]] *= 9
    volume[row["SMALL"]] = 1000
    whole = Bars(bars.symbols, bars.row, bars.session, **prices, volume=volume)
    late = row["NEW"] & (bars.session < np.datetime64(dt.date(2020, 12, 1)))
    early = row["GONE"] & (bars.session >= np.datetime64(GONE))
    return RecordedMarket(
        whole.only(~late & ~early),
        listed=(
            Listed("GONE", last=GONE, figi="BBG-GONE"),
            Listed("NEW", first=dt.date(2020, 12, 1)),
            Listed("NOOPT", options=False),
        ),
    )


@dataclass
class Subject:
    name: str
    place: VendorPlace
    server: Recorder
    work: Path
    said: list[str] = field(default_factory=list)

    def build(
        self,
        as_of: dt.date = LAST,
        candidates: tuple[str, ...] = (),
        rules: UniverseRules = RULES,
    ) -> list[UniverseProof]:
        job = UniverseBuild(
            vendor=self.name,
            bars=bars_vendor(self.name, self.place),
            listings=listings_vendor(self.name, self.place),
            rules=rules,
            clock=self.place.clock,
            work=self.work,
            concurrency=2,
            report=lambda _: None,
            say=self.said.append,
        )
        return job.run(as_of, candidates)


@pytest.fixture(params=BOTH)
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    clock = ManualClock(dt.datetime(2021, 1, 4, 15, tzinfo=dt.UTC))
    with ExitStack() as stack:
        served = recorded_vendor(request.param, market(), stack, tmp_path, clock)
        assert served.server is not None
        place = replace(served.place, patience=Patience(tries=1))
        yield Subject(request.param, place, served.server, tmp_path / "work")


def chosen(proofs: list[UniverseProof]) -> list[str]:
    return [proof.symbol for proof in proofs if proof.rank]


def test_liquid_stocks_with_options_are_ranked_and_the_others_have_their_reasons(
    subject: Subject,
) -> None:
    proofs = subject.build()
    assert chosen(proofs) == ["BIG", "MIDDLE"]
    assert [proof.rank for proof in proofs if proof.rank] == [1, 2]
    reasons = {proof.symbol: proof.left_out for proof in proofs if proof.left_out}
    assert reasons.pop("GONE", "no_bars") == "no_bars"
    assert reasons == {
        "CHEAP": "price",
        "NEW": "coverage",
        "NOOPT": "no_options",
        "SMALL": "dollar_volume",
    }
    best = proofs[0]
    assert best.sessions == 60
    assert best.options
    assert best.dollar_volume is not None
    assert best.dollar_volume > Decimal(100_000_000)


def test_a_day_in_the_past_has_the_stocks_of_that_day(subject: Subject) -> None:
    proofs = subject.build(as_of=dt.date(2020, 9, 30))
    assert "GONE" in chosen(proofs)
    assert "NEW" not in chosen(proofs)


def test_the_cap_keeps_the_most_liquid(subject: Subject) -> None:
    proofs = subject.build(rules=replace(RULES, cap=1))
    assert chosen(proofs) == ["BIG"]
    assert {p.symbol: p.left_out for p in proofs}["MIDDLE"] == "beyond_cap"


def test_named_candidates_alone_are_judged(subject: Subject) -> None:
    proofs = subject.build(candidates=("MIDDLE", "ZZZZ"))
    assert chosen(proofs) == ["MIDDLE"]
    assert {p.symbol: p.left_out for p in proofs} == {"MIDDLE": "", "ZZZZ": "no_bars"}


def test_a_build_that_broke_off_goes_on_and_ends_the_same(subject: Subject) -> None:
    path, skip = {"massive": ("/v3/reference/options", 1), "alpaca": ("/v2/stocks/bars", 0)}[
        subject.name
    ]
    subject.server.add(Fault(Kind.STATUS, path=path, skip=skip, times=99))
    with pytest.raises(TransientError):
        subject.build()
    subject.server.clear()
    assert chosen(subject.build()) == ["BIG", "MIDDLE"]
    assert [path.name for path in subject.work.rglob("*.parquet")] == []


def test_when_nothing_passes_it_is_said(subject: Subject) -> None:
    with pytest.raises(UserError, match="None of 1 candidates passes as of 2020-12-31"):
        subject.build(candidates=("SMALL",))


# --- files ----------------------------------------------------------------------------------------


def test_the_files_say_the_same_as_the_build_and_are_valid(
    subject: Subject, tmp_path: Path
) -> None:
    proofs = subject.build()
    out = tmp_path / "list.csv"
    files.write_universe(out, proofs, "built in a test")
    assert files.read_proofs(out) == proofs
    assert files.find_faults(out, RULES) == []
    assert out.read_text().splitlines() == ["# built in a test", "symbol", "BIG", "MIDDLE"]


def test_a_list_without_proofs_or_with_others_is_not_valid(
    subject: Subject, tmp_path: Path
) -> None:
    out = tmp_path / "list.csv"
    files.write_universe(out, subject.build(), "x")
    strict = replace(RULES, minimum_price=Decimal(1000))
    assert any("is not above 1000" in fault for fault in files.find_faults(out, strict))
    out.write_text("symbol\nBIG\nZZZZ\n")
    faults = files.find_faults(out, RULES)
    assert faults == [
        "ZZZZ has no proof.",
        "The list and its proofs name other symbols, or in another order.",
    ]
    files.proof_file(out).write_text("what,ever\n1,2\n")
    with pytest.raises(UserError, match="cannot be read as proofs"):
        files.find_faults(out, RULES)


def test_two_lists_are_compared(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("symbol\nA\nB\nC\n")
    (tmp_path / "b.csv").write_text("symbol\nB\nC\nD\n")
    found = files.difference(tmp_path / "a.csv", tmp_path / "b.csv")
    assert (found.added, found.removed, found.kept) == (("D",), ("A",), 2)
    assert files.difference("starter", "starter").kept == 60
