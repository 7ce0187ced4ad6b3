"""Bars that cannot be true are left out, counted and named; too many of them stop."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.runtime.bar_files.file_bars import ReadOptions
from shared.runtime.bar_files.reader import read_files
from tests.unit.bar_files.files import ACCEPT, HEAD, ROW, sentence, write
from tests.unit.bar_files.written import epoch, frame, walk


def days(count: int) -> list[str]:
    return pd.DatetimeIndex(frame(walk(("A",)))["date"][:count]).strftime("%Y-%m-%d").tolist()


def long(rows: dict[int, str], count: int = 300) -> str:
    """Good bars of AAPL, but for some lines."""
    good = [f"{day},AAPL,10,11,9,10,100" for day in days(count)]
    return HEAD + "\n".join(rows.get(at, line) for at, line in enumerate(good)) + "\n"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (",11,9,10,100", "not_a_number"),
        ("oops,11,9,10,100", "not_a_number"),
        ("inf,11,9,10,100", "not_a_number"),
        ("-1,11,9,10,100", "not_positive"),
        ("0,11,9,10,100", "not_positive"),
        ("10,9,11,10,100", "high_below_low"),
        ("12,11,9,10,100", "open_outside_range"),
        ("10,11,9,12,100", "close_outside_range"),
        ("10,11,9,10", "malformed"),
        ("10,11,9,10,100,7", "malformed"),
    ],
)
def test_a_few_bad_bars_are_left_out_and_counted_with_file_and_line(
    tmp_path: Path, fields: str, reason: str
) -> None:
    bad = f"{days(300)[40]},AAPL,{fields}"
    read = read_files(write(tmp_path, long({40: bad})))
    assert read.refused == {reason: 1}
    assert np.isfinite(read.panel.close).sum() == 299
    if reason != "malformed":
        assert read.refusals[0].origin == "prices.csv line 42"
        assert read.refusals[0].detail == bad
    assert f"1 {reason.replace('_', ' ')} refused" in read.summary


def test_more_than_one_in_a_hundred_stops_with_the_first_unless_accepted(tmp_path: Path) -> None:
    day = days(300)
    bad = {at: f"{day[at]},AAPL,10,9,11,10,100" for at in (7, 50, 90, 91)}
    file = write(tmp_path, long(bad))
    assert sentence(file) == (
        "4 of 300 bars of AAPL are refused (4 high below low); the first is prices.csv line 9: "
        f"high below low: {bad[7]}. Mend the file, or add --accept-flawed to leave such bars out."
    )
    read = read_files(file, ACCEPT)
    assert read.refused == {"high_below_low": 4}
    assert np.isfinite(read.panel.close).sum() == 296


def test_one_symbol_too_flawed_stops_a_file_of_many_good_ones(tmp_path: Path) -> None:
    text = long({}) + "".join(f"{day},BAD,10,9,11,10,100\n" for day in days(3))
    assert sentence(write(tmp_path, text)).startswith("3 of 3 bars of BAD are refused")


def test_a_day_without_a_session_is_refused_as_such(tmp_path: Path) -> None:
    read = read_files(write(tmp_path, long({}) + "2016-07-04,AAPL,10,11,9,10,100\n"))
    assert read.refused == {"no_session": 1}
    assert "2016-07-04" not in read.panel.sessions.astype(str)


def test_equal_duplicates_are_dropped_and_counted(tmp_path: Path) -> None:
    twice = long({}) + long({}).removeprefix(HEAD)
    read = read_files(write(tmp_path, twice))
    assert read.refused == {"duplicate": 300}
    assert np.isfinite(read.panel.close).all()


def test_a_conflicting_duplicate_stops_and_names_both_values(tmp_path: Path) -> None:
    file = write(tmp_path, long({}) + f"{days(6)[5]},AAPL,10,11,9,10.5,100\n")
    assert sentence(file) == (
        f"prices.csv line 7 and prices.csv line 302 contradict each other: AAPL on {days(6)[5]} "
        "has close 10 and 10.5. Mend the file, or add --accept-flawed to leave such bars out."
    )
    read = read_files(file, ACCEPT)
    assert read.refused == {"conflicting_duplicate": 2}
    assert np.isnan(read.panel.close[0, 5])


def test_files_of_a_folder_that_contradict_each_other_are_both_named(tmp_path: Path) -> None:
    write(tmp_path, HEAD + ROW, "one.csv")
    write(tmp_path, HEAD + ROW.replace("2,10", "2,11"), "two.csv")
    said = sentence(tmp_path)
    assert "one.csv line 2 and two.csv line 2 contradict" in said
    assert "volume 10 and 11" in said


def test_the_same_symbol_twice_in_a_folder_is_one_symbol(tmp_path: Path) -> None:
    head = HEAD.replace("symbol,", "")
    write(tmp_path, head + "2024-01-03,1,2,1,2,10\n2024-01-04,1,2,1,2,10\n", "AAPL.csv")
    write(tmp_path, head + "2024-01-04,1,2,1,2,10\n2024-01-05,1,2,1,2,10\n", "AAPL (1).csv")
    read = read_files(tmp_path)
    assert (read.panel.symbols, read.panel.shape) == (("AAPL",), (1, 3))
    assert read.refused == {"duplicate": 1}


# --- intraday -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "zoned", "epoch", "time column", "period"])
def test_intraday_files_are_refused_as_such(tmp_path: Path, form: str) -> None:
    stamps = [
        dt.datetime(2024, 1, day, 9, 30) + dt.timedelta(minutes=5 * at)  # noqa: DTZ001
        for day in (3, 4)
        for at in range(20)
    ]
    lines = []
    for stamp in stamps:
        midnight = epoch(pd.Timestamp(stamp.date()), "s")
        when = {
            "text": f"{stamp},",
            "zoned": f"{stamp}-05:00,",
            "epoch": f"{midnight + stamp.hour * 3600 + stamp.minute * 60},",
            "time column": f"{stamp:%Y-%m-%d},{stamp:%H:%M},",
            "period": f"{stamp:%Y%m%d},5,",
        }[form]
        lines.append(f"{when}AAPL,1,2,1,2,10")
    extra = {"time column": "time,", "period": "<PER>,"}.get(form, "")
    text = f"date,{extra}symbol,open,high,low,close,volume\n" + "\n".join(lines) + "\n"
    said = sentence(write(tmp_path, text))
    assert "intraday bars" in said or "of the period 5" in said
    assert "daily bars" in said


def test_a_bar_that_is_still_running_is_refused(tmp_path: Path) -> None:
    rows = [f"{day} 00:00:00-05:00,AAPL,10,11,9,10,100" for day in days(300)]
    rows.append("2018-12-21 13:22:05-05:00,AAPL,10,11,9,10,100")
    read = read_files(write(tmp_path, HEAD + "\n".join(rows) + "\n"))
    assert read.refused == {"intraday": 1}
    assert str(read.panel.sessions[-1]) == days(300)[-1]


def test_only_the_symbols_named_are_read_and_judged(tmp_path: Path) -> None:
    text = long({}) + "".join(f"{day},BAD,10,9,11,10,100\n" for day in days(3))
    read = read_files(write(tmp_path, text), ReadOptions(symbols=frozenset({"AAPL"})))
    assert read.panel.symbols == ("AAPL",)
    assert "holds no bars of ZZZ; known names: AAPL, BAD" in sentence(
        tmp_path / "prices.csv", ReadOptions(symbols=frozenset({"ZZZ"}))
    )
