"""The files of vendors, brokers and programs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pandas as pd

from shared.domain.market.bars import FIELDS
from tests.unit.bar_files.written import TITLES, each, epoch, folder, layout, rows


@layout
def polygon_flat_file(path: Path, data: pd.DataFrame) -> Path:
    flat = data.assign(
        window_start=[epoch(day, "ns") for day in data["date"]], transactions=5
    ).rename(columns={"symbol": "ticker"})
    order = ["ticker", "volume", "open", "close", "high", "low", "window_start", "transactions"]
    flat[order].to_csv(path / "prices.csv", index=False)
    return path / "prices.csv"


@layout
def polygon_flat_files_one_a_day(path: Path, data: pd.DataFrame) -> Path:
    flat = data.assign(
        window_start=[epoch(day, "ns") for day in data["date"]], transactions=5
    ).rename(columns={"symbol": "ticker"})
    order = ["ticker", "volume", "open", "close", "high", "low", "window_start", "transactions"]
    for key, own in flat.groupby("date"):
        day = pd.Timestamp(str(key))
        place = folder(path / "flat" / f"{day.year}" / f"{day.month:02d}")
        own[order].to_csv(place / f"{day.date()}.csv.gz", index=False)
    return path / "flat"


@layout
def polygon_client_frame(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own.assign(
            vwap=own["close"], timestamp=[epoch(day, "ms") for day in own["date"]], transactions=3,
            otc="",
        )[[*FIELDS, "vwap", "timestamp", "transactions", "otc"]].to_csv(
            folder(path / "agg") / f"{symbol}.csv", index=False
        )  # fmt: skip
    return path / "agg"


@layout
def polygon_aggregates(path: Path, data: pd.DataFrame) -> Path:
    short = {"volume": "v", "open": "o", "close": "c", "high": "h", "low": "l"}
    for symbol, own in each(data):
        own.assign(vw=1.5, t=[epoch(day, "ms") for day in own["date"]], n=9).rename(columns=short)[
            ["v", "vw", "o", "c", "h", "l", "t", "n"]
        ].to_csv(folder(path / "agg") / f"{symbol}.csv", index=False)
    return path / "agg"


@layout
def polygon_grouped_daily(path: Path, data: pd.DataFrame) -> Path:
    short = {"symbol": "T", "volume": "v", "open": "o", "close": "c", "high": "h", "low": "l"}
    grouped = data.assign(vw=1.5, t=[epoch(day, "ms", 16) for day in data["date"]], n=9)
    grouped.rename(columns=short)[["T", "v", "vw", "o", "c", "h", "l", "t", "n"]].to_csv(
        path / "grouped.csv", index=False
    )
    return path / "grouped.csv"


@layout
def alpaca_client_frame(path: Path, data: pd.DataFrame) -> Path:
    stamps = [pd.Timestamp(epoch(day, "s"), unit="s", tz="UTC") for day in data["date"]]
    data.assign(timestamp=stamps, trade_count=2.0, vwap=3.5)[
        ["symbol", "timestamp", *FIELDS, "trade_count", "vwap"]
    ].to_csv(path / "bars.csv", index=False)
    return path / "bars.csv"


def stacked(
    data: pd.DataFrame, names: dict[str, str], *, fields_first: bool = True
) -> pd.DataFrame:
    wide = data.rename(columns=names).pivot_table(
        index="date", columns="symbol", values=list(names.values()), aggfunc="first"
    )
    wide.index.name = "Date"
    return wide if fields_first else wide.swaplevel(axis=1).sort_index(axis=1)


@layout
def yfinance_of_today(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        order = ["Close", "High", "Low", "Open", "Volume"]
        wide = stacked(own, TITLES)[order]
        wide.columns.names = ["Price", "Ticker"]
        wide.to_csv(folder(path / "yf") / f"{symbol}.csv")
    return path / "yf"


@layout
def yfinance_several_tickers(path: Path, data: pd.DataFrame) -> Path:
    wide = stacked(data, TITLES)
    wide.columns.names = ["Price", "Ticker"]
    wide.to_csv(path / "download.csv")
    return path / "download.csv"


@layout
def yfinance_by_ticker(path: Path, data: pd.DataFrame) -> Path:
    wide = stacked(data, TITLES, fields_first=False)
    wide.columns.names = ["Ticker", "Price"]
    wide.to_csv(path / "download.csv")
    return path / "download.csv"


@layout
def yfinance_of_old(path: Path, data: pd.DataFrame) -> Path:
    wide = stacked(data.assign(adj=data["close"] * 0.9), {**TITLES, "adj": "Adj Close"})
    wide.columns.names = [None, None]
    wide.to_csv(path / "download.csv")
    return path / "download.csv"


@layout
def pandas_datareader(path: Path, data: pd.DataFrame) -> Path:
    wide = stacked(data.assign(adj=data["close"] * 0.9), {**TITLES, "adj": "Adj Close"})
    wide.columns.names = ["Attributes", "Symbols"]
    wide.to_csv(path / "reader.csv")
    return path / "reader.csv"


@layout
def wide_parquet_of_tuples(path: Path, data: pd.DataFrame) -> Path:
    stacked(data, TITLES).to_parquet(path / "wide.parquet")
    return path / "wide.parquet"


@layout
def wide_csv_with_joined_names(path: Path, data: pd.DataFrame) -> Path:
    wide = stacked(data, TITLES)
    wide.columns = pd.Index(["_".join(pair) for pair in wide.columns.to_list()])
    wide.to_csv(path / "wide.csv")
    return path / "wide.csv"


@layout
def quantmod(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        titles = {name: f"{symbol}.{name.title()}" for name in FIELDS}
        own.assign(adjusted=own["close"]).rename(
            columns={**titles, "date": "Index", "adjusted": f"{symbol}.Adjusted"}
        ).drop(columns="symbol").to_csv(folder(path / "r") / f"{symbol}.csv", index=False)
    return path / "r"


@layout
def yahoo_finance(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own = own.rename(columns={**TITLES, "date": "Date"}).drop(columns="symbol")
        own.insert(5, "Adj Close", own["Close"] * 0.97)
        own.to_csv(folder(path / "yahoo") / f"{symbol.replace('.', '-')}.csv", index=False)
    return path / "yahoo"


@layout
def yfinance_history(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        stamps = own["date"].dt.tz_localize("America/New_York")
        own.assign(Date=stamps, Dividends=0.0, **{"Stock Splits": 0.0}).rename(columns=TITLES)[
            ["Date", *TITLES.values(), "Dividends", "Stock Splits"]
        ].to_csv(folder(path / "hist") / f"{symbol}.csv", index=False)
    return path / "hist"


@layout
def nasdaq_com(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data.sort_values("date", ascending=False)):
        lines = ["Date,Close/Last,Volume,Open,High,Low"]
        lines += [
            f"{row.date:%m/%d/%Y},${row.close:.2f},{row.volume},${row.open:.2f},${row.high:.2f},${row.low:.2f}"
            for row in rows(own)
        ]
        (folder(path / "nasdaq") / f"{symbol}.csv").write_text("\n".join(lines) + "\n")
    return path / "nasdaq"


@layout
def investing_com(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data.sort_values("date", ascending=False)):
        lines = ['"Date","Price","Open","High","Low","Vol.","Change %"']
        lines += [
            f'"{row.date:%m/%d/%Y}","{row.close:,.2f}","{row.open:,.2f}","{row.high:,.2f}",'
            f'"{row.low:,.2f}","{row.volume / 1e3:.3f}K","0.10%"'
            for row in rows(own)
        ]
        name = f"{symbol} Historical Data.csv"
        (folder(path / "inv") / name).write_text("\ufeff" + "\n".join(lines) + "\n")
    return path / "inv"


@layout
def norgate(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own.assign(Date=own["date"].dt.strftime("%Y%m%d")).rename(columns=TITLES)[
            ["Date", *TITLES.values()]
        ].to_csv(folder(path / "norgate") / f"{symbol}.csv", index=False)
    return path / "norgate"


@layout
def stooq_bulk(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        lines = ["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"]
        ticker = f"{symbol.replace('.', '-')}.US"
        lines += [
            f"{ticker},D,{row.date:%Y%m%d},000000,{row.open},{row.high},{row.low},{row.close},{row.volume},0"
            for row in rows(own)
        ]
        place = folder(path / "stooq" / "daily" / "us" / "nasdaq stocks" / "1")
        (place / f"{ticker.lower()}.txt").write_text("\r\n".join(lines) + "\r\n")
    return path / "stooq"


@layout
def stooq_single(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        name = f"{symbol.replace('.', '-').lower()}_us_d.csv"
        own.rename(columns={**TITLES, "date": "Date"})[["Date", *TITLES.values()]].to_csv(
            folder(path / "stooq") / name, index=False
        )
    return path / "stooq"


@layout
def alpha_vantage(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data.sort_values("date", ascending=False)):
        own.rename(columns={"date": "timestamp"}).drop(columns="symbol").to_csv(
            folder(path / "av") / f"daily_{symbol}.csv", index=False
        )
    return path / "av"


@layout
def alpha_vantage_adjusted(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data.sort_values("date", ascending=False)):
        own.assign(
            timestamp=own["date"], adjusted_close=own["close"] * 0.9, dividend_amount=0.0,
            split_coefficient=1.0,
        )[
            ["timestamp", "open", "high", "low", "close", "adjusted_close", "volume",
             "dividend_amount", "split_coefficient"]
        ].to_csv(folder(path / "av") / f"daily_adjusted_{symbol}.csv", index=False)  # fmt: skip
    return path / "av"


@layout
def tiingo(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        adjusted = {f"adj{name.title()}": own[name] * 0.9 for name in FIELDS}
        own.assign(
            date=own["date"].dt.strftime("%Y-%m-%dT00:00:00.000Z"), **adjusted, divCash=0.0,
            splitFactor=1.0,
        ).drop(columns="symbol").to_csv(
            folder(path / "tiingo") / f"{symbol}.csv", index=False
        )  # fmt: skip
    return path / "tiingo"


@layout
def eodhd(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own.rename(columns={**TITLES, "date": "Date"}).assign(Adjusted_close=own["close"] * 0.9)[
            ["Date", "Open", "High", "Low", "Close", "Adjusted_close", "Volume"]
        ].to_csv(folder(path / "eod") / f"{symbol.replace('.', '-')}.US.csv", index=False)
    return path / "eod"


@layout
def quandl_wiki(path: Path, data: pd.DataFrame) -> Path:
    titles = {name: name.title() for name in FIELDS}
    adjusted = {f"Adj. {name.title()}": data[name] * 0.9 for name in FIELDS}
    wiki = data.assign(
        ticker=data["symbol"].str.replace(".", "_"),
        **{"Ex-Dividend": 0.0, "Split Ratio": 1.0},
        **adjusted,
    ).rename(columns={**titles, "date": "Date"})
    wiki[["ticker", "Date", *titles.values(), "Ex-Dividend", "Split Ratio", *adjusted]].to_csv(
        path / "WIKI_PRICES.csv", index=False
    )
    return path / "WIKI_PRICES.csv"


@layout
def sharadar(path: Path, data: pd.DataFrame) -> Path:
    data.rename(columns={"symbol": "ticker"}).assign(
        closeadj=1.5, closeunadj=2.5, lastupdated="2024-01-02"
    )[["ticker", "date", *FIELDS, "closeadj", "closeunadj", "lastupdated"]].to_csv(
        path / "SHARADAR_SEP.csv", index=False
    )
    return path / "SHARADAR_SEP.csv"


@layout
def crsp(path: Path, data: pd.DataFrame) -> Path:
    pd.DataFrame(
        {
            "PERMNO": data["symbol"].map({"AAPL": 14593, "BRK.B": 83443}),
            "date": data["date"].dt.strftime("%Y%m%d"),
            "TICKER": data["symbol"].str.replace(".", " "),
            "COMNAM": "A COMPANY INC",
            "BIDLO": data["low"],
            "ASKHI": data["high"],
            "PRC": data["close"],
            "VOL": data["volume"],
            "OPENPRC": data["open"],
            "CFACPR": 1.0,
            "CFACSHR": 1.0,
        }
    ).to_csv(path / "crsp.csv", index=False)
    return path / "crsp.csv"


@layout
def metastock(path: Path, data: pd.DataFrame) -> Path:
    lines = ["<TICKER>,<DTYYYYMMDD>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"]
    lines += [
        f"{row.symbol},{row.date:%Y%m%d},{row.open},{row.high},{row.low},{row.close},{row.volume}"
        for row in rows(data)
    ]
    (path / "metastock.txt").write_text("\n".join(lines))
    return path / "metastock.txt"


@layout
def trading_view(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own.assign(time=[epoch(day, "s", 9) + 1800 for day in own["date"]])[
            ["time", "open", "high", "low", "close", "volume"]
        ].rename(columns={"volume": "Volume"}).to_csv(
            folder(path / "tv") / f"NASDAQ_{symbol}, 1D.csv", index=False
        )
    return path / "tv"


@layout
def lean(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        lines = [
            f"{row.date:%Y%m%d} 00:00,{row.open * 1e4:.0f},{row.high * 1e4:.0f},"
            f"{row.low * 1e4:.0f},{row.close * 1e4:.0f},{row.volume}"
            for row in rows(own)
        ]
        with zipfile.ZipFile(folder(path / "lean") / f"{symbol.lower()}.zip", "w") as archive:
            archive.writestr(f"{symbol.lower()}.csv", "\n".join(lines))
    return path / "lean"


@layout
def macrotrends(path: Path, data: pd.DataFrame) -> Path:
    terms = "Macrotrends Data Download\n\n\nDISCLAIMER AND TERMS OF USE: HISTORICAL DATA, AS IS\n\n"
    for symbol, own in each(data):
        text = own.drop(columns="symbol").to_csv(index=False)
        (folder(path / "m") / f"{symbol}.csv").write_text(terms + text)
    return path / "m"


@layout
def barchart(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        own.assign(Time=own["date"].dt.strftime("%m/%d/%Y"), Change=0.1, **{"%Chg": "0.1%"}).rename(
            columns={
                "open": "Open",
                "high": "High",
                "low": "Low",
                "close": "Last",
                "volume": "Volume",
            }
        )[["Time", "Open", "High", "Low", "Last", "Change", "%Chg", "Volume"]].to_csv(
            folder(path / "bc") / f"{symbol}.csv", index=False
        )
        with (path / "bc" / f"{symbol}.csv").open("a") as file:
            file.write('"Downloaded from Barchart.com as of 12-20-2018 05:00pm CST"\n')
    return path / "bc"


@layout
def google_sheets(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        stamps = [f"{day.month}/{day.day}/{day.year} 16:00:00" for day in own["date"]]
        own.assign(Date=stamps).rename(columns=TITLES)[["Date", *TITLES.values()]].to_csv(
            folder(path / "g") / f"{symbol}.csv", index=False
        )
    return path / "g"
