import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import pytest

from services.data_fetcher.vendor_registry import ShareListing, VendorPlace
from services.data_fetcher.vendors import alpaca
from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from shared.schemas.corporate_actions import CashDividend, Ended, Removal, Rename, Split
from tests.recorded.alpaca import Alpaca, place_at
from tests.recorded.faults import Fault, Kind, Recorder
from tests.recorded.market import Listed, RecordedMarket, walks
from tests.recorded.server import serving

FIRST, LAST = dt.date(2020, 1, 2), dt.date(2020, 12, 31)
RENAMED = dt.date(2020, 6, 9)
SPLIT = Split(symbol="AAPL", ex_date=dt.date(2020, 8, 31), new=Decimal("4.0"), old=Decimal("1.0"))
REVERSE = Split(symbol="OLD", ex_date=dt.date(2020, 4, 29), new=Decimal("1.0"), old=Decimal("8.0"))
DIVIDEND = CashDividend(symbol="AAPL", ex_date=dt.date(2020, 5, 8), amount=Decimal("0.82"))
MERGED = Removal(symbol="OLD", date=dt.date(2020, 11, 2), why=Ended.MERGED)
WORTHLESS = Removal(symbol="FB", date=dt.date(2020, 12, 2), why=Ended.WORTHLESS)
MARKET = RecordedMarket(
    walks(("AAPL", "BRK.B", "FB", "META", "OLD"), sessions_between(FIRST, LAST).tolist(), seed=5),
    splits=(SPLIT, REVERSE),
    dividends=(DIVIDEND,),
    renames=(Rename(old="FB", new="META", date=RENAMED),),
    removals=(MERGED, WORTHLESS),
    listed=(
        Listed("OLD", last=dt.date(2020, 11, 2), options=False),
        Listed("SPYX", name="Some S&P ETF", exchange="ARCX"),
        Listed("BANK", name="A Bank Depositary Shares"),
    ),
)
NOW = dt.datetime(2020, 12, 31, 21, 30, tzinfo=dt.UTC)


@dataclass(frozen=True)
class Subject:
    vendor: alpaca.Alpaca
    server: Recorder
    place: VendorPlace


@contextmanager
def serve(sip_delay: dt.timedelta | None = None) -> Iterator[Subject]:
    with ExitStack() as stack:
        clock = ManualClock(NOW)
        server = Alpaca(MARKET, clock.now, sip_delay=sip_delay).app()
        url = stack.enter_context(serving(server))
        place = place_at(url, clock)
        yield Subject(alpaca.bars(place), server, place)


@pytest.fixture
def subject() -> Iterator[Subject]:
    with serve() as found:
        yield found


def closes(symbol: str, start: dt.date, end: dt.date) -> list[float]:
    found: list[float] = MARKET.between(symbol, start, end)["close"].tolist()
    return found


# --- bars -----------------------------------------------------------------------------------------


def test_pages_run_across_symbols_and_are_followed_to_the_end(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alpaca, "MOST_ROWS", 100)
    bars = subject.vendor.daily_bars(("AAPL", "OLD"), FIRST, LAST)
    assert bars.close.tolist() == closes("AAPL", FIRST, LAST) + closes("OLD", FIRST, LAST)
    assert len(subject.server.asked("/v2/stocks/bars")) == 6


def test_raw_bars_are_asked_for_up_to_the_last_session_and_not_into_the_delayed_minutes() -> None:
    """On the free plan the last 15 minutes are not to be had.

    Half an hour after the close all is.
    """
    with serve(sip_delay=dt.timedelta(minutes=15)) as subject:
        bars = subject.vendor.daily_bars(("AAPL",), LAST, LAST)
    assert bars.session.tolist() == [LAST]
    query = subject.server.requests[0].query
    assert "adjustment=raw" in query
    assert "feed=sip" in query
    assert "asof=2020-12-31" in query


def test_split_adjusted_prices_are_had_on_request(subject: Subject) -> None:
    vendor = alpaca.bars(replace(subject.place, basis=Basis.SPLIT))
    assert vendor.basis is Basis.SPLIT
    columns = MARKET.split_adjusted("AAPL", MARKET.between("AAPL", FIRST, LAST))
    assert vendor.daily_bars(("AAPL",), FIRST, LAST).close.tolist() == columns["close"].tolist()


def test_a_plan_without_recent_data_is_said_in_alpaca_s_own_words() -> None:
    with (
        serve(sip_delay=dt.timedelta(days=2)) as subject,
        pytest.raises(UserError, match=r"HTTP 403 \(subscription does not permit querying recent"),
    ):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


def test_one_malformed_symbol_does_not_cost_the_others_their_bars(subject: Subject) -> None:
    bars = subject.vendor.daily_bars(("AAPL", "B$D", "BRK.B", "OLD"), FIRST, LAST)
    assert bars.symbols == ("AAPL", "BRK.B", "OLD")


def test_a_renamed_company_keeps_its_bars_and_gets_none_of_the_ticker_s_former_owner(
    subject: Subject,
) -> None:
    bars = subject.vendor.daily_bars(("META",), FIRST, LAST)
    before = RENAMED - dt.timedelta(days=1)
    assert bars.close.tolist() == closes("FB", FIRST, before) + closes("META", RENAMED, LAST)


def test_bars_that_were_not_asked_for_are_refused(subject: Subject) -> None:
    def rename(document: Any) -> Any:
        return {**document, "bars": {"TSLA": document["bars"]["AAPL"]}}

    subject.server.add(Fault(Kind.EDIT, path="/v2/stocks/bars", edit=rename))
    with pytest.raises(UserError, match="bars of TSLA, which it was not asked for"):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


def test_a_token_that_returns_is_said(subject: Subject) -> None:
    def again(document: Any) -> Any:
        return {**document, "next_page_token": "e30="}

    subject.server.add(Fault(Kind.EDIT, path="/v2/stocks/bars", times=1000, edit=again))
    with pytest.raises(UserError, match="do not come to an end"):
        subject.vendor.daily_bars(("AAPL",), FIRST, LAST)


# --- corporate actions ----------------------------------------------------------------------------


def test_splits_reverse_splits_and_dividends_come_with_their_ex_dates(subject: Subject) -> None:
    found = subject.vendor.corporate_actions(("AAPL", "OLD"), FIRST, LAST)
    assert found.splits == (REVERSE, SPLIT)
    assert found.dividends == (DIVIDEND,)
    assert REVERSE.ratio == Decimal("0.125")


def test_what_is_processed_after_its_ex_date_is_found_all_the_same(subject: Subject) -> None:
    def process_late(document: Any) -> Any:
        for rows in document["corporate_actions"].values():
            for row in rows:
                row["process_date"] = "2020-06-05"
        return document

    subject.server.add(Fault(Kind.EDIT, path="/v1/corporate-actions", edit=process_late))
    day = DIVIDEND.ex_date
    assert subject.vendor.corporate_actions(("AAPL",), day, day).dividends == (DIVIDEND,)


def test_renames_and_removals_are_found_by_either_symbol(subject: Subject) -> None:
    found = subject.vendor.name_changes(("FB", "OLD"), FIRST, LAST)
    assert found.renames == (Rename(old="FB", new="META", date=RENAMED),)
    assert found.removals == (MERGED, WORTHLESS)
    assert subject.vendor.name_changes(("META",), FIRST, LAST).renames == found.renames
    assert subject.vendor.name_changes(("META",), RENAMED, RENAMED).removals == ()


def test_actions_come_in_pages_too(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpaca, "MOST_ACTIONS", 1)
    found = subject.vendor.corporate_actions(("AAPL", "OLD"), FIRST, LAST)
    assert len(found.splits) == 2
    assert len(subject.server.asked("/v1/corporate-actions")) == 3


# --- quotes and listings --------------------------------------------------------------------------


def test_quotes_are_asked_of_the_feed_that_is_configured(subject: Subject) -> None:
    vendor = alpaca.quotes(replace(subject.place, quotes_feed="iex"))
    quote = vendor.latest_quotes(["AAPL"])["AAPL"]
    assert float(quote.ask) == closes("AAPL", LAST, LAST)[0]
    assert "feed=iex" in subject.server.requests[0].query


def test_companies_are_listed_and_funds_and_depositary_shares_are_not(subject: Subject) -> None:
    today = [each.symbol for each in subject.vendor.listings(LAST)]
    assert today == ["AAPL", "BRK.B", "FB", "META"]


def test_a_day_in_the_past_lists_the_delisted_too(subject: Subject) -> None:
    found = {each.symbol: each for each in subject.vendor.listings(dt.date(2020, 4, 1))}
    assert sorted(found) == ["AAPL", "BRK.B", "FB", "META", "OLD"]
    assert found["OLD"].delisted
    assert not found["AAPL"].delisted


def test_the_options_flag_is_the_proof(subject: Subject) -> None:
    found = {each.symbol: each for each in subject.vendor.listings(dt.date(2020, 4, 1))}
    assert subject.vendor.has_options(found["AAPL"], LAST) == "has_options"
    assert subject.vendor.has_options(found["OLD"], LAST) == ""
    unknown = ShareListing(symbol="X", name="", exchange="NYSE")
    assert subject.vendor.has_options(unknown, LAST) == ""
