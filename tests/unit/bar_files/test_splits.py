"""Unadjusted prices: jumps like splits are noticed, and splits that are given adjust them."""

import datetime as dt
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.domain.errors import UserError
from shared.domain.market.adjustment import Basis
from shared.domain.market.bars import PRICES, Bars
from shared.runtime.bar_files.actions import read_splits
from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.bar_files.reader import read_files
from shared.schemas.corporate_actions import Split
from tests.unit.bar_files.files import ACCEPT, sentence
from tests.unit.bar_files.written import each, folder, frame, walk

SPLIT_DAY = dt.date(2017, 6, 9)
EX_DATE = np.datetime64(SPLIT_DAY)
SEVEN = Split(symbol="AAPL", ex_date=SPLIT_DAY, new=Decimal(7), old=Decimal(1))


def raw_bars(ratio: float = 7) -> Bars:
    """AAPL as it traded, with one split; BRK.B never split."""
    bars = walk()
    before = (bars.row == 0) & (bars.session < EX_DATE)
    prices = {
        name: np.where(before, (getattr(bars, name) * ratio).round(4), getattr(bars, name))
        for name in PRICES
    }
    return replace(bars, volume=np.where(before, bars.volume // ratio, bars.volume), **prices)


def write(path: Path, data: pd.DataFrame, name: str = "prices.csv") -> Path:
    data.to_csv(path / name, index=False)
    return path / name


def test_a_split_in_unadjusted_prices_stops_with_its_date_and_ratio(tmp_path: Path) -> None:
    said = sentence(write(tmp_path, frame(raw_bars())))
    assert "AAPL 2017-06-09" in said
    assert "like a 7:1 split; its prices look unadjusted" in said
    assert "--adjust FILE" in said


@pytest.mark.parametrize(("ratio", "words"), [(2, "2:1"), (4, "4:1"), (1 / 8, "1:8"), (20, "20:1")])
def test_the_likely_ratio_is_named(tmp_path: Path, ratio: float, words: str) -> None:
    assert f"like a {words} split" in sentence(write(tmp_path, frame(raw_bars(ratio))))


def test_prices_said_to_be_adjusted_that_are_not_are_a_contradiction(tmp_path: Path) -> None:
    file = write(tmp_path, frame(raw_bars()))
    said = sentence(file, ReadOptions(basis=Basis.SPLIT))
    assert "its prices are said to be split-adjusted, and are not" in said


def test_prices_taken_as_they_are_keep_their_jump_and_say_so(tmp_path: Path) -> None:
    read = read_files(write(tmp_path, frame(raw_bars())), ACCEPT)
    assert read.basis is Basis.RAW
    assert read.notes[0].startswith("AAPL 2017-06-09")


def test_splits_that_are_given_make_the_prices_those_of_today(tmp_path: Path) -> None:
    options = ReadOptions(splits=(SEVEN,))
    read = read_files(write(tmp_path, frame(raw_bars())), options)
    expected = read_files(write(tmp_path, frame(walk()), "adjusted.csv"))
    assert read.basis is Basis.SPLIT
    assert np.array_equal(read.panel.close, expected.panel.close)
    assert np.allclose(read.panel.volume, expected.panel.volume, rtol=1e-4)


def test_splits_given_for_prices_that_are_adjusted_are_noticed(tmp_path: Path) -> None:
    file = write(tmp_path, frame(walk()))
    assert "like a 1:7 split" in sentence(file, ReadOptions(splits=(SEVEN,)))
    said = sentence(file, ReadOptions(splits=(SEVEN,), basis=Basis.SPLIT))
    assert "is split-adjusted already" in said


def test_a_split_after_the_last_bar_changes_nothing(tmp_path: Path) -> None:
    later = Split(symbol="AAPL", ex_date=dt.date(2020, 8, 31), new=Decimal(4), old=Decimal(1))
    read = read_files(write(tmp_path, frame(walk())), ReadOptions(splits=(later,)))
    assert read.panel.close[0, 0] == walk().close[0]


# --- factors in the file itself -------------------------------------------------------------------


@pytest.mark.parametrize("vendor", ["tiingo", "alpha_vantage", "wiki", "crsp"])
def test_the_split_column_of_a_vendor_is_used(tmp_path: Path, vendor: str) -> None:
    data = frame(raw_bars())
    first = (data["symbol"] == "AAPL") & (data["date"] == pd.Timestamp(str(EX_DATE)))
    data["ratio"] = np.where(first, 7.0, 1.0)
    factor = np.where((data["symbol"] == "AAPL") & (data["date"] < str(EX_DATE)), 7.0, 1.0)
    file = tmp_path / "prices.csv"
    adjusted = {f"adj{name.title()}": 1.5 for name in PRICES}
    if vendor == "tiingo":
        data.assign(**adjusted, splitFactor=data["ratio"]).drop(columns="ratio").to_csv(file)
    elif vendor == "alpha_vantage":
        data.assign(adjusted_close=1.5, split_coefficient=data["ratio"]).to_csv(file)
    elif vendor == "wiki":
        data.assign(**{f"Adj. {name.title()}": 1.5 for name in PRICES}).rename(
            columns={"ratio": "Split Ratio", "symbol": "ticker"}
        ).to_csv(file)
    else:
        crsp = {"open": "OPENPRC", "high": "ASKHI", "low": "BIDLO", "close": "PRC", "volume": "VOL"}
        data.rename(columns={**crsp, "symbol": "TICKER"}).assign(CFACPR=factor).drop(
            columns="ratio"
        ).to_csv(file)
    read = read_files(file)
    assert read.basis is Basis.SPLIT
    expected = read_files(write(tmp_path, frame(walk()), "adjusted.csv"))
    assert np.array_equal(read.panel.close, expected.panel.close)


def test_an_adjusted_close_beside_raw_prices_does_not_hide_the_jump(tmp_path: Path) -> None:
    for symbol, own in each(frame(raw_bars())):
        own.assign(Adjusted_close=1.0).drop(columns="symbol").to_csv(
            folder(tmp_path / "eod") / f"{symbol}.US.csv", index=False
        )
    assert "its prices are unadjusted" in sentence(tmp_path / "eod")


# --- files of splits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "symbol,ex_date,ratio\nAAPL,2017-06-09,7\n",
        "symbol,ex_date,ratio\nAAPL,2017-06-09,7:1\n",
        "Ticker;Date;Ratio\naapl;09.06.2017;7/1\naapl;31.08.2017;1\n",
        "ticker,execution_date,split_from,split_to\nAAPL,2017-06-09,1,7\n",
        "symbol,ex_date,type,value\nAAPL,2017-06-09,split,7.0\nAAPL,2017-05-11,dividend,0.63\n",
        (
            "symbol,date,price_factor,split_factor,reference_price\n"
            "AAPL,2016-03-14,0.9,0.142857,1\nAAPL,2017-06-08,0.9,0.142857,1\nAAPL,2050-12-31,1,1,0\n"
        ),
    ],
    ids=["ratio", "7:1", "semicolons", "massive", "actions", "lean"],
)
def test_splits_are_read_in_the_forms_of_vendors(tmp_path: Path, text: str) -> None:
    (tmp_path / "splits.csv").write_text(text)
    assert read_splits(tmp_path / "splits.csv") == (SEVEN,)


def test_a_parquet_of_actions_is_read(tmp_path: Path) -> None:
    actions = pd.DataFrame(
        {
            "symbol": ["AAPL", "IBM"],
            "ex_date": pd.to_datetime(["2017-06-09", "2017-05-11"]),
            "type": ["split", "dividend"],
            "value": [7.0, 0.63],
        }
    )
    actions.to_parquet(tmp_path / "actions.parquet")
    assert read_splits(tmp_path / "actions.parquet") == (SEVEN,)


def test_cut_decimals_are_whole_shares(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("symbol,ex_date,ratio\nA,2017-06-09,1.33333\n")
    (split,) = read_splits(tmp_path / "splits.csv")
    assert (split.new, split.old) == (Decimal(4), Decimal(3))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("symbol,ex_date\nAAPL,2017-06-09\n", "no column ratio"),
        ("symbol,ratio\nAAPL,7\n", "no column date"),
        ("symbol,ex_date,ratio\nAAPL,2017-06-09,seven\n", "row 2"),
        ("symbol,ex_date,ratio\nAAPL,2017-06-09,-7\n", "row 2"),
        ("symbol,ex_date,ratio\nAAPL,soon,7\n", "row 2"),
        ("symbol,ex_date,ratio\n[/],2017-06-09,7\n", "'[/]' is no symbol"),
        ("", "no columns"),
    ],
)
def test_a_file_that_is_no_splits_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "splits.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_splits(tmp_path / "splits.csv")
    assert words in str(error.value)
    assert str(error.value).startswith("The splits in splits.csv")
