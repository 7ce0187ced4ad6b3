"""What every vendor of bars must keep, whatever it is made of.

Every file in vendors/ is a subject by itself; where it has a recorded counterpart of its name in
tests/recorded/, that is what it is asked about.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from services.data_fetcher.vendor_registry import (
    BarsVendor,
    VendorPlace,
    bars_vendor,
    offering,
    quotes_vendor,
)
from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS, Bars
from shared.domain.market.refusals import refuse_impossible
from shared.domain.market.sessions import sessions_between
from shared.runtime.clock import ManualClock
from tests.recorded.market import RecordedMarket, walks
from tests.recorded.vendor import RecordedVendor, on_a_network, recorded_vendor

FIRST, LAST = dt.date(2010, 1, 4), dt.date(2010, 12, 31)
MARKET = RecordedMarket(
    walks(("AAPL", "BRK.B", "IBM"), sessions_between(FIRST, LAST).tolist(), seed=3)
)


@dataclass(frozen=True)
class Subject:
    name: str
    vendor: BarsVendor
    recorded: RecordedVendor
    symbols: tuple[str, ...]


@pytest.fixture(params=offering("bars"))
def subject(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Subject]:
    clock = ManualClock(dt.datetime(2011, 1, 3, 15, tzinfo=dt.UTC))
    with ExitStack() as stack:
        found = recorded_vendor(request.param, MARKET, stack, tmp_path, clock)
        vendor = bars_vendor(request.param, found.place)
        yield Subject(request.param, vendor, found, vendor.symbols() or tuple(MARKET.bars.symbols))


def test_it_offers_symbols_in_order_and_bars_of_each(subject: Subject) -> None:
    assert list(subject.vendor.symbols()) == sorted(subject.vendor.symbols())
    bars = subject.vendor.daily_bars(subject.symbols, FIRST, LAST)
    assert {bars.symbols[row] for row in np.unique(bars.row)} == set(subject.symbols) - {"FB"}


def test_its_bars_are_possible_and_each_session_comes_once(subject: Subject) -> None:
    good, refusals = refuse_impossible(subject.vendor.daily_bars(subject.symbols, FIRST, LAST))
    assert refusals == []
    assert good.row.size >= 252 * len(set(subject.symbols) - {"FB"})


def test_its_prices_have_four_decimals_at_most(subject: Subject) -> None:
    bars = subject.vendor.daily_bars(("IBM",), FIRST, LAST)
    for name in ("open", "high", "low", "close"):
        prices = getattr(bars, name)
        assert np.array_equal(np.round(prices, 4), prices)


def test_only_what_was_asked_for_comes_both_ends_included(subject: Subject) -> None:
    first, last = dt.date(2010, 3, 1), dt.date(2010, 3, 5)
    bars = subject.vendor.daily_bars(("AAPL", "IBM"), first, last)
    assert {bars.symbols[row] for row in bars.row} == {"AAPL", "IBM"}
    assert sorted(set(bars.session.tolist())) == [dt.date(2010, 3, day) for day in range(1, 6)]
    assert bars.row.size == 10


def test_one_session_of_many_symbols_is_the_same_as_each_alone(subject: Subject) -> None:
    """What the nightly upkeep asks for: some vendors have another way of asking it."""
    session = dt.date(2010, 3, 3)
    together = subject.vendor.daily_bars(subject.symbols, session, session)
    for symbol in set(subject.symbols) - {"FB"}:
        alone = subject.vendor.daily_bars((symbol,), FIRST, LAST)
        assert _values(together, symbol, session) == _values(alone, symbol, session)


def _values(bars: Bars, symbol: str, session: dt.date) -> list[float]:
    here = (bars.row == bars.symbols.index(symbol)) & (bars.session == np.datetime64(session))
    (place,) = np.flatnonzero(here)
    return [float(getattr(bars, name)[place]) for name in FIELDS]


def test_a_symbol_it_does_not_have_is_left_out(subject: Subject) -> None:
    assert subject.vendor.daily_bars(("ZZZZ",), FIRST, LAST).row.size == 0


def test_days_without_sessions_have_no_bars(subject: Subject) -> None:
    weekend = dt.date(2010, 3, 6), dt.date(2010, 3, 7)
    assert subject.vendor.daily_bars(("IBM",), *weekend).row.size == 0


def test_asked_twice_it_says_the_same(subject: Subject) -> None:
    def values(bars: Bars) -> list[bytes]:
        return [getattr(bars, name).tobytes() for name in ("row", "session", *FIELDS)]

    first, again = (subject.vendor.daily_bars(subject.symbols, FIRST, LAST) for _ in range(2))
    assert values(first) == values(again)
    assert subject.vendor.source() == subject.vendor.source()


def test_it_says_how_its_prices_are_adjusted(subject: Subject) -> None:
    assert subject.vendor.basis


@pytest.mark.parametrize("subject", on_a_network(), indirect=True)
def test_what_is_recorded_comes_to_the_last_digit(subject: Subject) -> None:
    bars = subject.vendor.daily_bars(subject.symbols, FIRST, LAST)
    assert bars.symbols == MARKET.bars.symbols
    for name in ("row", "session", *FIELDS):
        assert np.array_equal(getattr(bars, name), getattr(MARKET.bars, name)), name


# --- single vendors -------------------------------------------------------------------------------


def sample() -> BarsVendor:
    return bars_vendor("sample", VendorPlace())


def test_the_sample_has_no_false_fall_on_the_day_of_a_split() -> None:
    bars = sample().daily_bars(("AAPL",), dt.date(2005, 2, 25), dt.date(2005, 2, 28))
    assert abs(bars.close[1] / bars.close[0] - 1) < 0.05


def test_a_folder_file_that_is_replaced_is_another_source_and_seen(tmp_path: Path) -> None:
    with ExitStack() as stack:
        clock = ManualClock(dt.datetime(2011, 1, 3, 15, tzinfo=dt.UTC))
        place = recorded_vendor("folder", MARKET, stack, tmp_path, clock).place
    vendor = bars_vendor("folder", place)
    before = vendor.source()
    (tmp_path / "NEWS.csv").write_text("date,open,high,low,close,volume\n2013-01-02,1,2,1,2,3\n")
    assert vendor.source() != before
    assert "NEWS" in vendor.symbols()


def test_a_folder_vendor_without_a_folder_is_said_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"bars\.folder in kobe\.toml names none") as raised:
        bars_vendor("folder", VendorPlace())
    assert raised.value.exit_code == 3


@pytest.mark.parametrize("name", ["massive", "alpaca"])
def test_a_vendor_without_its_key_is_said_in_a_sentence(name: str) -> None:
    with pytest.raises(
        UserError, match=rf"'{name}' needs \w+_API_KEY.* put .* into \.env"
    ) as raised:
        bars_vendor(name, VendorPlace())
    assert raised.value.exit_code == 2


def test_an_unknown_vendor_of_bars_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'sample'"):
        bars_vendor("sampel", VendorPlace())


def test_an_unknown_vendor_of_quotes_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'alpaca'"):
        quotes_vendor("alpaka", VendorPlace())
    with pytest.raises(UserError, match="'sample' has no quotes"):
        quotes_vendor("sample", VendorPlace())
