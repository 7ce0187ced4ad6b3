"""Dates, encodings, containers and marks in all the forms that programs write."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from tests.unit.bar_files.written import (
    LAYOUTS,
    NEW_YORK,
    PRICES,
    Layout,
    each,
    epoch,
    folder,
    layout,
    rows,
)


def dated(write: Callable[[pd.Timestamp], str | int]) -> Layout:
    def write_file(path: Path, data: pd.DataFrame) -> Path:
        data.assign(date=[write(day) for day in data["date"]]).to_csv(path / "x.csv", index=False)
        return path / "x.csv"

    return write_file


LAYOUTS |= {
    "dates as 03/04/2016": dated(lambda day: f"{day:%m/%d/%Y}"),
    "dates as 04/03/2016": dated(lambda day: f"{day:%d/%m/%Y}"),
    "dates as 04.03.2016": dated(lambda day: f"{day:%d.%m.%Y}"),
    "dates as 3/4/16": dated(lambda day: f"{day.month}/{day.day}/{day:%y}"),
    "dates as 2016/03/04": dated(lambda day: f"{day:%Y/%m/%d}"),
    "dates as 20160304": dated(lambda day: f"{day:%Y%m%d}"),
    "dates as 4-Mar-16": dated(lambda day: f"{day.day}-{day:%b-%y}"),
    "dates as Mar 04, 2016": dated(lambda day: f"{day:%b %d, %Y}"),
    "dates as 04MAR2016": dated(lambda day: f"{day:%d%b%Y}".upper()),
    "dates as Friday, March 4, 2016": dated(lambda day: f"{day:%A, %B} {day.day}, {day:%Y}"),
    "epoch in seconds": dated(lambda day: epoch(day, "s")),
    "epoch in milliseconds of the close": dated(lambda day: epoch(day, "ms", 16)),
    "epoch in microseconds": dated(lambda day: epoch(day, "us")),
    "epoch of UTC midnights": dated(lambda day: int(day.timestamp()) * 1000),
    "instants with an offset": dated(
        lambda day: f"{dt.datetime.fromtimestamp(epoch(day, 's'), NEW_YORK)}"
    ),
    "instants of the close in UTC": dated(
        lambda day: f"{dt.datetime.fromtimestamp(epoch(day, 's', 16), dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    ),
    "instants with a zone's name": dated(lambda day: f"{day:%Y-%m-%d} 16:00:00 America/New_York"),
    "midnights in Berlin": dated(lambda day: f"{day:%Y-%m-%d}T00:00:00+01:00"),
    "closes in Tokyo": dated(
        lambda day: f"{dt.datetime.fromtimestamp(epoch(day, 's', 16), ZoneInfo('Asia/Tokyo'))}"
    ),
    "naive midnights": dated(lambda day: f"{day:%Y-%m-%d} 00:00:00"),
    "naive closes": dated(lambda day: f"{day:%Y-%m-%d} 16:00"),
    "spreadsheet days": dated(lambda day: (day - pd.Timestamp("1899-12-30")).days),
    "days since 1970": dated(lambda day: (day - pd.Timestamp("1970-01-01")).days),
}


def encoded(encoding: str, mark: str = "") -> Layout:
    def write(path: Path, data: pd.DataFrame) -> Path:
        text = mark + data.to_csv(index=False, lineterminator="\r\n")
        (path / "x.csv").write_bytes(text.encode(encoding))
        return path / "x.csv"

    return write


def packed(name: str, pack: Callable[[bytes], bytes]) -> Layout:
    def write(path: Path, data: pd.DataFrame) -> Path:
        (path / name).write_bytes(pack(data.to_csv(index=False).encode()))
        return path / name

    return write


def zipped(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._prices.csv", b"\x00\x05\x16\x07")
        archive.writestr("prices.csv", content)
    return buffer.getvalue()


def marked(delimiter: str, decimal: str = ".") -> Layout:
    def write(path: Path, data: pd.DataFrame) -> Path:
        data.to_csv(path / "x.txt", index=False, sep=delimiter, decimal=decimal)
        return path / "x.txt"

    return write


LAYOUTS |= {
    "utf-8 with a mark": encoded("utf-8-sig"),
    "utf-16 little endian with a mark": encoded("utf-16"),
    "utf-16 big endian with a mark": encoded("utf-16-be", "\ufeff"),
    "utf-16 without a mark": encoded("utf-16-le"),
    "old Mac line ends": packed("x.csv", lambda text: text.replace(b"\n", b"\r")),
    "csv.gz": packed("x.csv.gz", gzip.compress),
    "csv.bz2": packed("x.csv.bz2", bz2.compress),
    "csv.xz": packed("x.csv.xz", lzma.compress),
    "zip": packed("x.zip", zipped),
    "gzip without the name": packed("x.csv", gzip.compress),
    "semicolons": marked(";"),
    "tabs": marked("\t"),
    "pipes": marked("|"),
    "semicolons and decimal commas": marked(";", ","),
    "tabs and decimal commas": marked("\t", ","),
}


@layout
def latin_1(path: Path, data: pd.DataFrame) -> Path:
    text = data.assign(company="Société Générale").to_csv(index=False)
    (path / "x.csv").write_bytes(text.encode("latin-1"))
    return path / "x.csv"


@layout
def tsv(path: Path, data: pd.DataFrame) -> Path:
    data.to_csv(path / "x.tsv", index=False, sep="\t")
    return path / "x.tsv"


@layout
def dollars_and_thousands(path: Path, data: pd.DataFrame) -> Path:
    written = data.assign(
        **{name: [f"${value:,.2f}" for value in data[name]] for name in PRICES},
        volume=[f"{value:,}" for value in data["volume"]],
    )
    written.to_csv(path / "x.csv", index=False)
    return path / "x.csv"


@layout
def german(path: Path, data: pd.DataFrame) -> Path:
    lines = ["Symbol;Datum;Eröffnung;Hoch;Tief;Schluss;Volumen"]
    lines += [
        f"{row.symbol};{row.date:%d.%m.%Y};{_comma(row.open)};{_comma(row.high)};{_comma(row.low)};"
        f"{_comma(row.close)};{f'{row.volume:,}'.replace(',', '.')}"
        for row in rows(data)
    ]
    (path / "kurse.csv").write_bytes("\n".join(lines).encode("cp1252"))
    return path / "kurse.csv"


def _comma(value: object) -> str:
    return f"{float(str(value)):.2f}".replace(".", ",")


@layout
def blank_lines_and_empty_rows(path: Path, data: pd.DataFrame) -> Path:
    text = "\n\n" + data.to_csv(index=False).replace("\n", "\n\n") + ",,,,,,\n,,,,,,\n"
    (path / "x.csv").write_text(text)
    return path / "x.csv"


def parquet(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Layout:
    def write(path: Path, data: pd.DataFrame) -> Path:
        change(data).to_parquet(path / "x.parquet")
        return path / "x.parquet"

    return write


LAYOUTS |= {
    "parquet": parquet(lambda data: data),
    "parquet, date as index": parquet(lambda data: data.set_index("date")),
    "parquet, nameless index": parquet(lambda data: data.set_index("date").rename_axis(None)),
    "parquet, symbol and date as index": parquet(lambda data: data.set_index(["symbol", "date"])),
    "parquet, zoned": parquet(
        lambda data: data.assign(date=data["date"].dt.tz_localize("America/New_York"))
    ),
    "parquet, UTC instants": parquet(
        lambda data: data.assign(
            date=data["date"].dt.tz_localize("America/New_York").dt.tz_convert("UTC")
        )
    ),
    "parquet, categories": parquet(lambda data: data.astype({"symbol": "category"})),
    "parquet, dates": parquet(lambda data: data.assign(date=data["date"].dt.date)),
    "parquet, texts": parquet(lambda data: data.astype(str)),
    "parquet, float32": parquet(lambda data: data.astype(dict.fromkeys(PRICES, "float32"))),
    "parquet, epoch": parquet(
        lambda data: data.assign(date=[epoch(day, "ms") for day in data["date"]])
    ),
}


@layout
def parquet_partitioned_by_symbol(path: Path, data: pd.DataFrame) -> Path:
    for symbol, own in each(data):
        place = folder(path / "lake" / f"symbol={symbol}")
        own.drop(columns="symbol").to_parquet(place / "part-0.parquet")
        (place / "_SUCCESS").touch()
    return path / "lake"


@layout
def feather(path: Path, data: pd.DataFrame) -> Path:
    data.to_feather(path / "x.feather")
    return path / "x.feather"
