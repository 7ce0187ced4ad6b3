"""What is ambiguous, contradictory or no bars is refused with a sentence that helps."""

import datetime as dt
import gzip
import random
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.domain.errors import UserError
from shared.domain.market.bars import FIELDS
from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.bar_files.reader import read_files
from tests.unit.bar_files.files import ACCEPT, HEAD, ROW, sentence, write
from tests.unit.bar_files.test_layouts import LAYOUTS
from tests.unit.bar_files.written import frame, walk


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEAD, "holds no bars"),
        ("date,symbol,open,high,low,volume\n2024-01-03,A,1,2,1,1\n", "lacks the column close"),
        ("date,symbol,open,high,low,close\n2024-01-03,A,1,2,1,1\n", "lacks the column volume"),
        ("symbol,open,high,low,close,volume\nA,1,2,1,2,1\n", "lacks the column date"),
        ("date,close\n2024-01-03,1\n", "no header line|lacks the columns"),
        ("2024-01-03,1,2,1,2,10\n2024-01-04,1,2,1,2,10\n", "no header line"),
        ('{"AAPL": [{"date": "2024-01-03", "open": 1}]}', "is JSON"),
        ("<html><body>Too many requests</body></html>", "is a web page"),
        (b"\x00\x01\x02\x03" * 50, "no text and no Parquet"),
        (b"PAR1 this is none PAR1", "damaged or cut short"),
        (gzip.compress(HEAD.encode() + ROW.encode() * 90)[:60], "damaged or cut short"),
        (b"7z\xbc\xaf\x27\x1c", "7z or rar"),
        (b"\xd0\xcf\x11\xe0" * 30, "is a workbook"),
        (HEAD.replace("close", "open") + ROW, "lacks the column close"),
        (HEAD.replace("close,", "close,close,") + "2024-01-03,A,1,2,1,2,2,1\n", "two columns are"),
    ],
)
def test_what_is_no_table_of_bars_is_refused_by_name(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    said = sentence(write(tmp_path, text))
    assert said.startswith("prices.csv")
    assert any(part in said for part in expected.split("|")), said


def test_nothing_at_the_path_is_refused(tmp_path: Path) -> None:
    assert "neither a file nor a folder" in sentence(tmp_path / "nowhere")
    assert "has no .csv" in sentence(tmp_path)


# --- symbols --------------------------------------------------------------------------------------


def test_an_unknown_column_that_may_name_symbols_is_not_passed_over(tmp_path: Path) -> None:
    text = "date,firm,open,high,low,close,volume\n" + "".join(
        f"2024-01-{day:02d},{firm},1,2,1,2,10\n" for day in (3, 4) for firm in ("AAPL", "BRK.B")
    )
    said = sentence(write(tmp_path, text, "MINE.csv"))
    assert "its column firm may name symbols (AAPL, BRK.B)" in said


def test_companies_told_apart_by_a_number_need_symbols(tmp_path: Path) -> None:
    text = HEAD.replace("symbol", "PERMNO") + "2024-01-03,1,1,2,1,2,1\n2024-01-03,2,1,2,1,2,1\n"
    assert "PERMNO tells 2 securities apart" in sentence(write(tmp_path, text, "X.csv"))


def test_names_of_companies_are_no_symbols(tmp_path: Path) -> None:
    text = HEAD.replace("symbol", "Name") + (
        "2024-01-03,Apple Inc.,1,2,1,2,1\n2024-01-03,Berkshire Hathaway,1,2,1,2,1\n"
    )
    assert "Name holds 'Apple Inc.', which is no symbol" in sentence(write(tmp_path, text))


def test_two_columns_of_symbols_must_agree(tmp_path: Path) -> None:
    head = "date,symbol,ticker,open,high,low,close,volume\n"
    same = head + "2024-01-03,BRK.B,BRK-B,1,2,1,2,1\n"
    assert read_files(write(tmp_path, same)).panel.symbols == ("BRK.B",)
    said = sentence(write(tmp_path, head + "2024-01-03,AAPL,MSFT,1,2,1,2,1\n"))
    assert "symbol and ticker contradict each other: AAPL and MSFT in row 1" in said


def test_a_file_without_symbols_whose_name_is_none_is_refused(tmp_path: Path) -> None:
    text = "date,open,high,low,close,volume\n2024-01-03,1,2,1,2,10\n"
    for name in ("prices.csv", "part-10.csv", "HistoricalData_1695822334.csv", "data.csv"):
        assert "no column of symbols, and its name is none" in sentence(write(tmp_path, text, name))


def test_a_name_that_contradicts_the_symbols_inside_is_refused(tmp_path: Path) -> None:
    said = sentence(write(tmp_path, HEAD + ROW, "MSFT.csv"))
    assert "is named after MSFT but holds AAPL" in said
    assert read_files(write(tmp_path, HEAD + ROW, "my bars.csv")).panel.symbols == ("AAPL",)


def test_a_name_that_contradicts_the_dates_inside_is_refused(tmp_path: Path) -> None:
    text = "date,open,high,low,close,volume\n2024-01-03,1,2,1,2,10\n"
    said = sentence(write(tmp_path, text, "AAPL_2016-01-01_2020-12-31.csv"))
    assert "says 2016-01-01 to 2020-12-31 but its bars are of 2024-01-03" in said


@pytest.mark.parametrize("symbol", ["", " ", "[/]", "Apple Inc.", "N/A", "123456"])
def test_a_row_without_a_symbol_stops(tmp_path: Path, symbol: str) -> None:
    said = sentence(write(tmp_path, HEAD + ROW * 1 + f"2024-01-04,{symbol},1,2,1,2,10\n"))
    assert "line 3" in said
    assert "malformed" in said


@pytest.mark.parametrize("symbol", ["NA", "TRUE", "NULL", "NAN", "A", "^VIX", "S0001"])
def test_words_of_other_tools_are_symbols_here(tmp_path: Path, symbol: str) -> None:
    read = read_files(write(tmp_path, HEAD + f"2024-01-04,{symbol},1,2,1,2,10\n"))
    assert read.panel.symbols == (symbol,)


# --- dates ----------------------------------------------------------------------------------------


def test_days_and_months_that_the_calendar_does_not_settle_are_refused(tmp_path: Path) -> None:
    text = HEAD + "03/04/2020,AAPL,1,2,1,2,10\n04/03/2020,AAPL,1,2,1,2,11\n"
    said = sentence(write(tmp_path, text))
    assert "ambiguous: 03/04/2020 may be month/day/year or day/month/year" in said


def test_the_calendar_settles_days_and_months(tmp_path: Path) -> None:
    rows = ["02/01/2020", "03/01/2020", "06/01/2020", "07/01/2020"]  # 2, 3, 6, 7 January
    text = HEAD + "".join(f"{day},AAPL,1,2,1,2,{at}\n" for at, day in enumerate(rows))
    read = read_files(write(tmp_path, text))
    assert read.panel.sessions.astype(str).tolist()[0] == "2020-01-02"
    assert read.panel.sessions.size == 4


def test_dates_in_two_orders_are_refused(tmp_path: Path) -> None:
    text = HEAD + "01/13/2020,AAPL,1,2,1,2,10\n14/01/2020,AAPL,1,2,1,2,10\n"
    assert "in no one order" in sentence(write(tmp_path, text))


def test_a_date_that_is_none_is_named_with_its_line(tmp_path: Path) -> None:
    rows = "".join(f"2024-01-{day:02d},AAPL,1,2,1,2,10\n" for day in (3, 4, 5))
    said = sentence(write(tmp_path, HEAD + rows + "soon,AAPL,1,2,1,2,10\n"))
    assert "the first is prices.csv line 5: malformed: soon,AAPL,1,2,1,2,10" in said


def test_numbers_that_are_no_dates_are_refused(tmp_path: Path) -> None:
    text = HEAD + "5,AAPL,1,2,1,2,10\n6,AAPL,1,2,1,2,10\n"
    assert "its dates are numbers" in sentence(write(tmp_path, text))


def test_two_columns_of_dates_must_agree(tmp_path: Path) -> None:
    head = "date,timestamp,symbol,open,high,low,close,volume\n"
    said = sentence(write(tmp_path, head + "2024-01-03,2024-01-04,AAPL,1,2,1,2,1\n"))
    assert "date and timestamp contradict each other" in said


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        ("2024-01-03T05:00:00Z", "2024-01-03"),
        ("2024-01-03T21:00:00Z", "2024-01-03"),
        ("2024-01-04T03:00:00Z", "2024-01-03"),
        ("2024-01-03T00:00:00Z", "2024-01-03"),
        ("2024-01-02T19:00:00-05:00", "2024-01-03"),
        ("2024-01-04 06:00:00+09:00", "2024-01-03"),
        ("2024-01-04 05:00 Asia/Singapore", "2024-01-03"),
    ],
)
def test_an_instant_counts_as_its_new_york_date_unless_it_is_a_midnight(
    tmp_path: Path, instant: str, session: str
) -> None:
    read = read_files(write(tmp_path, HEAD + f"{instant},AAPL,1,2,1,2,10\n"))
    assert read.panel.sessions.astype(str).tolist() == [session]


# --- numbers --------------------------------------------------------------------------------------


def test_a_comma_that_may_be_either_mark_is_refused(tmp_path: Path) -> None:
    text = HEAD.replace(",", ";") + "2024-01-03;AAPL;1,234;1,235;1,233;1,234;10\n"
    said = sentence(write(tmp_path, text))
    assert "1,234 may be 1234 or 1.234" in said


def test_prices_in_two_marks_are_refused(tmp_path: Path) -> None:
    text = HEAD.replace(",", ";") + "2024-01-03;AAPL;1,5;2.5;1,5;2;10\n"
    assert "decimal points and decimal commas" in sentence(write(tmp_path, text))


def test_an_unknown_volume_is_history_that_is_not_traded(tmp_path: Path) -> None:
    text = "Date,Price,Open,High,Low,Vol.,Change %\n" + '01/16/2024,2,1,2,1,-,"0,1%"\n'
    assert read_files(write(tmp_path, text, "AAPL.csv")).panel.volume.tolist() == [[0.0]]


# --- folders, ceilings ----------------------------------------------------------------------------


def test_one_bad_file_of_a_folder_is_named_with_a_choice(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, HEAD + ROW.replace("AAPL", f"A{number}"), f"part-{number}.csv")
    write(tmp_path, "date,open\n2024-01-03,1\n", "part-7.csv")
    said = sentence(tmp_path)
    assert said.startswith("part-7.csv: it ")
    assert "It is one of 30: mend it, take it away, or add --accept-flawed" in said
    read = read_files(tmp_path, ACCEPT)
    assert len(read.panel.symbols) == 29
    assert read.left_out[0].startswith("part-7.csv: ")


def test_files_that_are_no_bars_by_their_kind_are_left_out_and_named(tmp_path: Path) -> None:
    write(tmp_path, HEAD + ROW)
    write(tmp_path, "hello", "README.md")
    assert read_files(tmp_path).left_out == ("README.md",)


def test_bases_are_never_mixed(tmp_path: Path) -> None:
    data = frame(walk(("AAPL",))).rename(columns=str.title).drop(columns="Symbol")
    data.assign(**{"Adj Close": data["Close"]}).to_csv(tmp_path / "AAPL.csv", index=False)
    data.assign(Adjusted_close=data["Close"]).to_csv(tmp_path / "MSFT.csv", index=False)
    said = sentence(tmp_path)
    assert "AAPL.csv is split-adjusted but MSFT.csv is unadjusted" in said


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", HEAD.encode() + b" " * (80 << 20))
    assert "no market data shrinks like that" in sentence(tmp_path / "x.zip")


def test_a_small_parquet_of_endless_rows_is_not_unpacked(tmp_path: Path) -> None:
    rows = 8_000_000
    one = pa.array(np.zeros(rows, np.int8))
    day = pa.DictionaryArray.from_arrays(one, pa.array([dt.date(2024, 1, 3)]))
    prices = pa.DictionaryArray.from_arrays(one, pa.array([1.0]))
    table = pa.table({"date": day, **dict.fromkeys(FIELDS, prices)})
    pq.write_table(table, tmp_path / "AAPL.parquet", compression="zstd")
    assert (tmp_path / "AAPL.parquet").stat().st_size < 600_000
    assert "no market data shrinks like that" in sentence(tmp_path / "AAPL.parquet")


def test_symbols_over_too_many_years_to_fit_are_refused(tmp_path: Path) -> None:
    rows = [f"1970-01-05,A{at},1,2,1,2,10\n2024-01-03,A{at},1,2,1,2,10" for at in range(6000)]
    said = sentence(write(tmp_path, HEAD + "\n".join(rows) + "\n"))
    assert "6,000 symbols over 54 years are more than fits in memory" in said


# --- damage ---------------------------------------------------------------------------------------

DATA = frame(walk(first=dt.date(2018, 1, 2), last=dt.date(2018, 3, 29)))


@pytest.mark.parametrize("name", LAYOUTS)
def test_whatever_is_damaged_is_read_or_refused_with_a_sentence(name: str, tmp_path: Path) -> None:
    path = LAYOUTS[name](tmp_path, DATA)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    draw = random.Random(name)
    for _ in range(6):
        file = draw.choice(files)
        whole = file.read_bytes()
        if not whole:
            continue
        content = bytearray(whole)
        if draw.random() < 0.5:
            del content[draw.randrange(len(content)) :]
        else:
            content[draw.randrange(len(content))] = draw.randrange(256)
        file.write_bytes(content)
        for options in (ReadOptions(), ACCEPT):
            with suppress(UserError):
                read_files(path, options)
        file.write_bytes(whole)


def test_a_cut_wide_file_names_the_line_that_was_cut(tmp_path: Path) -> None:
    path = LAYOUTS["yfinance_of_old"](tmp_path, DATA)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:20], lines[20][:30]]))
    assert "1 lines do not have the fields of the header; the first is line 21" in sentence(path)
