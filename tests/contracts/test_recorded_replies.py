"""Our vendors read what the real ones once answered (../shared/fixtures).

The flag that lied is refused.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from services.data_fetcher.vendor_registry import VendorPlace
from services.data_fetcher.vendors import alpaca, massive
from shared.domain.errors import UserError
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import Secret
from tests.recorded.alpaca import place_at
from tests.recorded.faults import Fault, Kind
from tests.recorded.replayed import replayed
from tests.recorded.server import serving

NOW = dt.datetime(2024, 1, 5, 15, tzinfo=dt.UTC)
GROUPED_DAY = dt.date(2020, 4, 16)


def raw(document: Any) -> Any:
    return {**document, "adjusted": False}


def test_massive_s_whole_market_of_a_day(shared_folder: Path) -> None:
    app = replayed(shared_folder / "fixtures/polygon", ("r_grouped_daily_bars",))
    with serving(app) as url:
        place = VendorPlace(urls={"massive": url}, massive_key=Secret("k"), clock=ManualClock(NOW))
        vendor = massive.bars(place)
        with pytest.raises(UserError, match="two bases must never mix"):
            vendor.daily_bars(("AAPL", "TSLA"), GROUPED_DAY, GROUPED_DAY)
        app.add(Fault(Kind.EDIT, edit=raw))
        bars = vendor.daily_bars(("AAPL", "ZZZZ", "TSLA"), GROUPED_DAY, GROUPED_DAY)
    assert bars.symbols == ("AAPL", "TSLA")
    assert bars.close.tolist() == [286.69, 745.21]
    assert set(bars.session.tolist()) == {GROUPED_DAY}


def test_massive_s_aggregates_of_a_symbol(shared_folder: Path) -> None:
    app = replayed(
        shared_folder / "fixtures/polygon", ("aggs_AAPL_1day_2023-01-01_2023-01-10_asc",)
    )
    with serving(app) as url:
        place = VendorPlace(urls={"massive": url}, massive_key=Secret("k"), clock=ManualClock(NOW))
        app.add(Fault(Kind.EDIT, path="/v2/aggs", edit=raw))
        bars = massive.bars(place).daily_bars(("AAPL",), dt.date(2023, 1, 1), dt.date(2023, 1, 10))
    assert bars.session.tolist() == [dt.date(2023, 1, day) for day in (3, 4, 5, 6, 9, 10)]
    assert bars.close[0] == 125.07
    assert bars.volume[0] == 112117471.0


def test_alpaca_s_bars_of_two_symbols(shared_folder: Path) -> None:
    app = replayed(shared_folder / "fixtures/alpaca", ("py_mock_multisymbol_get_bars",))
    with serving(app) as url:
        place = place_at(url, ManualClock(NOW))
        bars = alpaca.bars(place).daily_bars(
            ("AAPL", "TSLA"), dt.date(2022, 3, 9), dt.date(2022, 3, 9)
        )
    assert bars.symbols == ("AAPL", "TSLA")
    assert bars.close.tolist() == [162.95, 858.97]
    assert set(bars.session.tolist()) == {dt.date(2022, 3, 9)}


def test_alpaca_s_assets(shared_folder: Path) -> None:
    app = replayed(shared_folder / "fixtures/alpaca", ("py_mock_get_all_assets",))
    with serving(app) as url:
        place = place_at(url, ManualClock(NOW))
        assert all(each.symbol for each in alpaca.listings(place).listings(NOW.date()))
