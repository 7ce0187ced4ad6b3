"""Columns of symbols, names of files, and folders, as people have them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from tests.unit.bar_files.written import LAYOUTS, Layout, each, folder, layout


def long_csv(name: str) -> Layout:
    def write(path: Path, data: pd.DataFrame) -> Path:
        data.rename(columns={"symbol": name}).to_csv(path / "prices.csv", index=False)
        return path / "prices.csv"

    return write


for alias in ("symbol", "Symbol", "ticker", "Ticker", "TICKER", "Name", "tic", "sym", "stock",
              "act_symbol", " symbol ", "Stock Symbol", "instrument", "code"):  # fmt: skip
    LAYOUTS[f"symbol column {alias!r}"] = long_csv(alias)


@layout
def all_stocks_5yr(path: Path, data: pd.DataFrame) -> Path:
    order = ["date", "open", "high", "low", "close", "volume", "Name"]
    data.rename(columns={"symbol": "Name"})[order].to_csv(path / "all_stocks_5yr.csv", index=False)
    return path / "all_stocks_5yr.csv"


@layout
def upper_case_columns(path: Path, data: pd.DataFrame) -> Path:
    data.rename(columns=str.upper).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def spaces_and_quotes(path: Path, data: pd.DataFrame) -> Path:
    text = data.rename(columns=lambda name: f' "{name.title()}" ').to_csv(index=False)
    (path / "x.csv").write_text(text.replace('"" ', "").replace('" ""', ""))
    return path / "x.csv"


@layout
def symbols_with_spaces_in_lower_case(path: Path, data: pd.DataFrame) -> Path:
    data.assign(symbol=" " + data["symbol"].str.lower() + " ").to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def share_class_with_a_dash(path: Path, data: pd.DataFrame) -> Path:
    data.assign(symbol=data["symbol"].str.replace(".", "-")).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def share_class_in_three_spellings(path: Path, data: pd.DataFrame) -> Path:
    marks = np.array(["/", " ", "_", "-"], object)[np.arange(len(data)) % 4]
    symbol = [text.replace(".", mark) for text, mark in zip(data["symbol"], marks, strict=True)]
    data.assign(symbol=symbol).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def symbols_with_an_exchange(path: Path, data: pd.DataFrame) -> Path:
    data.assign(symbol="NYSE:" + data["symbol"]).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def newest_first(path: Path, data: pd.DataFrame) -> Path:
    data.sort_values("date", ascending=False).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def shuffled(path: Path, data: pd.DataFrame) -> Path:
    data.sample(frac=1, random_state=3).to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def index_column_of_row_numbers(path: Path, data: pd.DataFrame) -> Path:
    data.to_csv(path / "x.csv")
    return path / "x.csv"


@layout
def with_company_and_sector(path: Path, data: pd.DataFrame) -> Path:
    named = data.assign(name="Some Company, Inc.", sector="Technology", exchange="NASDAQ")
    named.to_csv(path / "x.csv", index=False)
    return path / "x.csv"


def named(write: Callable[[str], str]) -> Layout:
    def write_files(path: Path, data: pd.DataFrame) -> Path:
        for symbol, own in each(data):
            own.drop(columns="symbol").to_csv(folder(path / "bars") / write(symbol), index=False)
        return path / "bars"

    return write_files


LAYOUTS |= {
    "files AAPL.csv": named(lambda symbol: f"{symbol}.csv"),
    "files aapl.csv": named(lambda symbol: f"{symbol.lower().replace('.', '-')}.csv"),
    "files AAPL_2016-01-01_2020-12-31.csv": named(lambda s: f"{s}_2016-01-01_2020-12-31.csv"),
    "files AAPL-20160101-20201231.csv": named(lambda s: f"{s}-20160101-20201231.csv"),
    "files AAPL (1).csv": named(lambda symbol: f"{symbol} (1).csv"),
    "files AAPL_daily.csv": named(lambda symbol: f"{symbol}_daily.csv"),
    "files AAPL_data.csv": named(lambda symbol: f"{symbol}_data.csv"),
    "files WIKI-AAPL.csv": named(lambda symbol: f"WIKI-{symbol.replace('.', '_')}.csv"),
    "files table_aapl.csv": named(lambda s: f"table_{s.lower().replace('.', '-')}.csv"),
}


@layout
def parts_numbered_to_twelve(path: Path, data: pd.DataFrame) -> Path:
    for number, places in enumerate(np.array_split(np.arange(len(data)), 12), start=1):
        data.iloc[places].to_csv(folder(path / "parts") / f"part-{number}.csv", index=False)
    return path / "parts"


@layout
def a_folder_with_what_systems_leave(path: Path, data: pd.DataFrame) -> Path:
    named(lambda symbol: f"{symbol}.csv")(path, data)
    for junk in ("._AAPL.csv", ".DS_Store", "Thumbs.db", "__MACOSX/._AAPL.csv", "notes.md"):
        (folder(path / "bars" / "__MACOSX").parent / junk).write_bytes(b"\x00\x05\x16\x07")
    return path / "bars"
