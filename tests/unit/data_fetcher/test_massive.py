import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.data_fetcher.vendor_registry import ShareListing, VendorPlace
from services.data_fetcher.vendors import massive
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import Secret
from shared.schemas.corporate_actions import CashDividend, Ended, Removal, Rename, Split
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import Listed, RecordedMarket, walks
from tests.recorded.massive import KEY, recorded

pytestmark = pytest.mark.slow

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 12, 31)
RENAMED, TAKEN = dt.date(2020, 6, 9), dt.date(2020, 9, 1)
SPLIT = Split(symbol="AAPL", ex_date=dt.date(2020, 8, 31), new=Decimal(4), old=Decimal(1))
DIVIDEND = CashDividend(symbol="AAPL", ex_date=dt.date(2020, 5, 8), amount=Decimal("0.82"))
MARKET = RecordedMarket(
    walks(("AAPL", "FB", "META", "NEW", "OLD"), sessions_between(FIRST, LAST).tolist(), seed=5),
    splits=(SPLIT,),
    dividends=(
        DIVIDEND,
        CashDividend(symbol="FB", ex_date=dt.date(2020, 5, 9), amount=Decimal("0.1")),
    ),
    renames=(Rename(old="FB", new="META", date=RENAMED),),
    listed=(
        Listed("META", figi="BBG-META", first=dt.date(2012, 5, 18)),
        Listed("NEW", figi="BBG-NEW", first=TAKEN),
        Listed("OLD", figi="BBG-OLD", last=dt.date(2020, 11, 2), options=False),
        Listed("SPYX", kind="ETF"),
    ),
)


@dataclass(frozen=True)
class Subject:
    vendor: massive.Massive
    server: Recorder
    url: str

    def edits(self, path: str, **change: Any) -> None:
        self.server.add(Fault(Kind.EDIT, path=path, times=1000, edit=lambda d: {**d, **change}))


@pytest.fixture
def subject() -> Iterator[Subject]:
    with ExitStack() as stack:
        clock = ManualClock(dt.datetime(2021, 1, 4, 15, tzinfo=dt.UTC))
        found = recorded(MARKET, stack, Path(), clock)
        assert found.server is not None
        yield Subject(massive.bars(found.place), found.server, found.place.urls["massive"])


def closes(symbol: str, start: dt.date, end: dt.date) -> list[float]:
    found: list[float] = MARKET.between(symbol, start, end)["close"].tolist()
    return found


# --- bars -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [True, None])
@pytest.mark.parametrize("symbols", [("AAPL",), ("AAPL", "FB")])
def test_prices_that_are_not_said_to_be_raw_are_refused(
    subject: Subject, flag: bool | None, symbols: tuple[str, ...]
) -> None:
    subject.edits("/v2/aggs", adjusted=flag)
    with pytest.raises(UserError, match="bars of two bases must never mix"):
        subject.vendor.daily_bars(symbols, dt.date(2020, 3, 3), dt.date(2020, 3, 3))


def test_split_adjusted_prices_are_had_on_request_and_refused_when_they_are_raw(
    subject: Subject,
) -> None:
    place = VendorPlace(urls={"massive": subject.url}, massive_key=Secret(KEY), basis=Basis.SPLIT)
    vendor = massive.bars(place)
    assert vendor.basis is Basis.SPLIT
    columns = MARKET.split_adjusted("AAPL", MARKET.between("AAPL", FIRST, LAST))
    assert vendor.daily_bars(("AAPL",), FIRST, LAST).close.tolist() == columns["close"].tolist()
    subject.edits("/v2/aggs", adjusted=False)
    with pytest.raises(UserError, match=r"asked for split-adjusted bars of AAPL .* that are raw"):
        vendor.daily_bars(("AAPL",), FIRST, LAST)


def test_a_count_that_does_not_agree_is_no_whole_answer(subject: Subject) -> None:
    subject.server.add(Fault(Kind.EDIT, path="/v2/aggs", edit=lambda d: {**d, "resultsCount": 99}))
    assert subject.vendor.daily_bars(("AAPL",), FIRST, LAST).row.size == 253
    assert len(subject.server.asked("/v2/aggs")) == 2


def test_bars_of_another_ticker_than_asked_are_refused(subject: Subject) -> None:
    subject.edits("/v2/aggs", ticker="AAPB")
    with pytest.raises(UserError, match="asked for bars of AAPL and answers with those of AAPB"):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


def test_a_session_is_one_call_for_the_whole_market(subject: Subject) -> None:
    session = dt.date(2020, 3, 3)
    bars = subject.vendor.daily_bars(("AAPL", "FB", "OLD"), session, session)
    assert bars.symbols == ("AAPL", "FB", "OLD")
    (asked,) = subject.server.requests
    assert asked.path == f"/v2/aggs/grouped/locale/us/market/stocks/{session}"
    assert "adjusted=false" in asked.query


def test_pages_are_followed_to_the_end(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(massive, "MOST_ROWS", 50)
    bars = subject.vendor.daily_bars(("AAPL",), FIRST, LAST)
    assert bars.close.tolist() == closes("AAPL", FIRST, LAST)
    assert len(subject.server.asked("/v2/aggs")) == 6


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v2/aggs?cursor=x",
        "http://127.0.0.1:1/v2/aggs?cursor=x",
        "http://127.0.0.1.evil.example/?cursor=x",
        "//evil.example/x",
        "/v2/aggs?cursor=x",
    ],
)
def test_a_next_page_elsewhere_is_not_asked_for(subject: Subject, url: str) -> None:
    subject.edits("/v2/aggs", next_url=url)
    with pytest.raises(UserError, match="not its own host; the key is not sent there"):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


def test_pages_that_go_round_in_circles_are_said(subject: Subject) -> None:
    again = f"{subject.url}/v2/aggs/ticker/AAPL/range/1/day/2020-01-02/2020-01-03?adjusted=false"
    subject.edits("/v2/aggs", next_url=again)
    with pytest.raises(UserError, match="do not come to an end"):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


@pytest.mark.parametrize("value", [None, "12.5", "NaN", [], {}, True])
def test_a_price_that_is_no_number_costs_its_bar_alone(subject: Subject, value: Any) -> None:
    def spoil(document: Any) -> Any:
        document["results"][3]["c"] = value
        return document

    subject.server.add(Fault(Kind.EDIT, path="/v2/aggs", edit=spoil))
    bars = subject.vendor.daily_bars(("AAPL",), FIRST, LAST)
    assert np.flatnonzero(np.isnan(bars.close)).tolist() == [3]
    assert bars.row.size == 253


@pytest.mark.parametrize("row", [None, 7, {}, {"o": 1.0}, [], {"t": 1 << 62, "o": 1.0}])
def test_a_row_without_a_session_costs_itself(subject: Subject, row: Any) -> None:
    def spoil(document: Any) -> Any:
        document["results"][3] = row
        return document

    subject.server.add(Fault(Kind.EDIT, path="/v2/aggs", edit=spoil))
    assert subject.vendor.daily_bars(("AAPL",), FIRST, LAST).row.size == 252


# --- whose bars -----------------------------------------------------------------------------------


def test_a_renamed_company_keeps_its_bars_and_gets_none_of_the_ticker_s_former_owner(
    subject: Subject,
) -> None:
    """META was a fund's ticker until the day Facebook took it."""
    bars = subject.vendor.daily_bars(("META",), FIRST, LAST)
    before = RENAMED - dt.timedelta(days=1)
    assert bars.close.tolist() == closes("FB", FIRST, before) + closes("META", RENAMED, LAST)
    assert np.all(np.diff(bars.session.astype(int)) > 0)


def test_bars_from_before_a_company_s_own_listing_are_another_s_and_left_out(
    subject: Subject,
) -> None:
    """The reference knows another company, by its FIGI, that used the ticker the day before."""
    subject.server.add(
        Fault(
            Kind.EDIT,
            path="/v3/reference/tickers/NEW",
            skip=1,
            edit=lambda d: {**d, "results": {**d["results"], "composite_figi": "BBG-OTHER"}},
        )
    )
    bars = subject.vendor.daily_bars(("NEW",), FIRST, LAST)
    assert bars.close.tolist() == closes("NEW", TAKEN, LAST)


def test_history_older_than_a_company_s_first_event_is_kept_when_it_is_its_own(
    subject: Subject,
) -> None:
    bars = subject.vendor.daily_bars(("NEW",), FIRST, LAST)
    assert bars.close.tolist() == closes("NEW", FIRST, LAST)


# --- corporate actions ----------------------------------------------------------------------------


def test_splits_and_dividends_of_the_symbols_and_dates_asked_for(subject: Subject) -> None:
    found = subject.vendor.corporate_actions(("AAPL",), FIRST, LAST)
    assert (found.splits, found.dividends) == ((SPLIT,), (DIVIDEND,))
    assert SPLIT.ratio == 4
    nothing = subject.vendor.corporate_actions(("AAPL",), FIRST, dt.date(2020, 5, 7))
    assert (nothing.splits, nothing.dividends) == ((), ())


def test_few_symbols_are_asked_for_one_by_one_and_many_by_date(subject: Subject) -> None:
    subject.vendor.corporate_actions(("AAPL",), FIRST, LAST)
    assert "ticker=AAPL" in subject.server.asked("/v3/reference/splits")[0].query
    many = tuple(f"S{number}" for number in range(100))
    subject.vendor.corporate_actions(many, LAST, LAST)
    asked = [*subject.server.asked("/v3/reference/splits")[1:]]
    assert len(asked) == 1
    assert "ticker" not in asked[0].query


def test_renames_and_removals_have_their_dates(subject: Subject) -> None:
    found = subject.vendor.name_changes(("META", "OLD", "AAPL"), FIRST, LAST)
    assert found.renames == (Rename(old="FB", new="META", date=RENAMED),)
    gone = Removal(symbol="OLD", date=dt.date(2020, 11, 2), why=Ended.DELISTED)
    assert found.removals == (gone,)


# --- listings -------------------------------------------------------------------------------------


def test_the_common_stocks_of_a_day_include_those_delisted_since(subject: Subject) -> None:
    spring = [each.symbol for each in subject.vendor.listings(dt.date(2020, 4, 1))]
    winter = [each.symbol for each in subject.vendor.listings(dt.date(2020, 12, 1))]
    assert spring == ["AAPL", "FB", "META", "OLD"]
    assert winter == ["AAPL", "FB", "META", "NEW"]


def test_a_contract_proves_options_on_a_day(subject: Subject) -> None:
    day = dt.date(2020, 4, 1)
    apple, old = (ShareListing(symbol=name, name="", exchange="XNYS") for name in ("AAPL", "OLD"))
    assert subject.vendor.has_options(apple, day) == "O:AAPL200501C00050000"
    assert subject.vendor.has_options(old, day) == ""


def test_a_reference_without_results_is_no_proof_of_anything(subject: Subject) -> None:
    def without(document: Any) -> Any:
        return {name: value for name, value in document.items() if name != "results"}

    path = "/v3/reference/options/contracts"
    subject.server.add(Fault(Kind.EDIT, path=path, edit=without))
    listing = ShareListing(symbol="AAPL", name="", exchange="XNYS")
    assert subject.vendor.has_options(listing, LAST) != ""
    assert len(subject.server.asked(path)) == 2


@pytest.mark.parametrize(
    "row",
    [
        {"split_to": 0},
        {"split_from": -1},
        {"split_to": "four"},
        {"execution_date": "31.8.2020"},
        {"ticker": ""},
        {"ticker": None},
        {"execution_date": None},
    ],
)
def test_an_announcement_that_is_none_costs_only_itself(subject: Subject, row: Any) -> None:
    def spoil(document: Any) -> Any:
        good = document["results"][0]
        return {**document, "results": [{**good, **row}, good, None]}

    subject.server.add(Fault(Kind.EDIT, path="/v3/reference/splits", edit=spoil))
    assert subject.vendor.corporate_actions(("AAPL",), FIRST, LAST).splits == (SPLIT,)
