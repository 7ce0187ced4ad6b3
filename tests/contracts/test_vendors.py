"""What every vendor of bars must keep, whatever it is made of.

A new one joins by a line in VENDORS.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
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
from shared.runtime.config.environment import Secret


def place(folder: Path | None = None, url: str = "http://127.0.0.1:9") -> VendorPlace:
    return VendorPlace(folder=folder, data_url=url, key_id=Secret("k"), secret_key=Secret("s"))


def sample(_: Path) -> BarsVendor:
    return bars_vendor("sample", place())


def folder(path: Path) -> BarsVendor:
    """The sample's bars as a user's own files, one symbol each."""
    bars = sample(path).daily_bars(("AAPL", "GOOG", "IBM"), None, None)
    for number, symbol in enumerate(bars.symbols):
        own = bars.only(bars.row == number)
        if own.row.size:
            lines = ["date,open,high,low,close,volume"]
            columns = [own.session, *(getattr(own, name) for name in FIELDS)]
            lines += [",".join(str(value) for value in row) for row in zip(*columns, strict=True)]
            (path / f"{symbol}.csv").write_text("\n".join(lines))
    return bars_vendor("folder", place(path))


VENDORS: dict[str, Callable[[Path], BarsVendor]] = {"sample": sample, "folder": folder}


@pytest.fixture(params=VENDORS)
def vendor(request: pytest.FixtureRequest, tmp_path: Path) -> BarsVendor:
    return VENDORS[request.param](tmp_path)


def test_every_vendor_of_bars_is_held_to_this_contract() -> None:
    assert set(offering("bars")) == set(VENDORS)


def test_it_offers_symbols_in_order_and_bars_of_each(vendor: BarsVendor) -> None:
    symbols = vendor.symbols()
    assert list(symbols) == sorted(symbols)
    bars = vendor.daily_bars(symbols, None, None)
    assert {bars.symbols[row] for row in np.unique(bars.row)} == set(symbols)


def test_its_bars_are_possible_and_each_session_comes_once(vendor: BarsVendor) -> None:
    good, refusals = refuse_impossible(vendor.daily_bars(vendor.symbols(), None, None))
    assert refusals == []
    assert good.row.size > 8000


def test_its_prices_have_four_decimals_at_most(vendor: BarsVendor) -> None:
    bars = vendor.daily_bars(("IBM",), None, None)
    for name in ("open", "high", "low", "close"):
        prices = getattr(bars, name)
        assert np.array_equal(np.round(prices, 4), prices)


def test_only_what_was_asked_for_comes_both_ends_included(vendor: BarsVendor) -> None:
    first, last = dt.date(2010, 3, 1), dt.date(2010, 3, 5)
    bars = vendor.daily_bars(("AAPL", "IBM"), first, last)
    assert {bars.symbols[row] for row in bars.row} == {"AAPL", "IBM"}
    assert sorted(set(bars.session.tolist())) == [dt.date(2010, 3, day) for day in range(1, 6)]
    assert bars.row.size == 10


def test_a_symbol_it_does_not_have_is_left_out(vendor: BarsVendor) -> None:
    assert vendor.daily_bars(("ZZZZ",), None, None).row.size == 0


def test_days_without_sessions_have_no_bars(vendor: BarsVendor) -> None:
    assert vendor.daily_bars(("IBM",), dt.date(2010, 3, 6), dt.date(2010, 3, 7)).row.size == 0


def test_asked_twice_it_says_the_same(vendor: BarsVendor) -> None:
    def values(bars: Bars) -> list[bytes]:
        return [getattr(bars, name).tobytes() for name in ("row", "session", *FIELDS)]

    first, again = (vendor.daily_bars(vendor.symbols(), None, None) for _ in range(2))
    assert values(first) == values(again)
    assert vendor.source() == vendor.source() != ""


def test_it_says_how_its_prices_are_adjusted(vendor: BarsVendor) -> None:
    assert vendor.basis


def test_the_sample_has_no_false_fall_on_the_day_of_a_split(tmp_path: Path) -> None:
    bars = sample(tmp_path).daily_bars(("AAPL",), dt.date(2005, 2, 25), dt.date(2005, 2, 28))
    assert abs(bars.close[1] / bars.close[0] - 1) < 0.05


def test_a_folder_file_that_is_replaced_is_another_source_and_seen(tmp_path: Path) -> None:
    vendor = folder(tmp_path)
    before = vendor.source()
    (tmp_path / "NEWS.csv").write_text("date,open,high,low,close,volume\n2013-01-02,1,2,1,2,3\n")
    assert vendor.source() != before
    assert "NEWS" in vendor.symbols()


def test_a_folder_vendor_without_a_folder_is_said_in_a_sentence() -> None:
    with pytest.raises(UserError, match=r"bars\.folder in kobe\.toml names none") as raised:
        bars_vendor("folder", place())
    assert raised.value.exit_code == 3


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("sampel", "did you mean 'sample'"),
        ("alpaca", "'alpaca' has no bars; these have: folder, sample"),
    ],
)
def test_an_unknown_vendor_of_bars_is_answered_with_the_nearest(name: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        bars_vendor(name, place())


def test_an_unknown_vendor_of_quotes_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'alpaca'"):
        quotes_vendor("alpaka", place())
    with pytest.raises(UserError, match="'sample' has no quotes"):
        quotes_vendor("sample", place())
