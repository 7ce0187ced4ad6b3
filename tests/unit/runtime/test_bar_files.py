import datetime as dt
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.domain.errors import UserError
from shared.domain.market.refusals import BarDefect
from shared.runtime.archive.bar_files import digest_of, load_bars, read_bars

HEAD = "date,symbol,open,high,low,close,volume\n"


def csv(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_folder_of_one_csv_per_symbol_takes_the_symbols_from_the_names(tmp_path: Path) -> None:
    csv(
        tmp_path,
        "aapl.csv",
        "Date,Open,High,Low,Close,Volume\n2024-01-02,1,2,1,2,10\n2024-01-03,2,3,2,3,11\n",
    )
    csv(tmp_path, "ibm.csv", "Date,Open,High,Low,Close,Volume\n2024-01-03,5,6,5,6,12\n")
    panel, refusals = load_bars(tmp_path)
    assert panel.symbols == ("AAPL", "IBM")
    assert panel.close.tolist()[0] == [2.0, 3.0]
    assert np.isnan(panel.close[1, 0])
    assert refusals == []


def test_a_file_in_long_form_may_be_sorted_by_date(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        "all.csv",
        HEAD + "2024-01-02,B,1,2,1,2,1\n2024-01-02,A,1,2,1,2,1\n2024-01-03,B,1,2,1,2,1\n",
    )
    panel, refusals = load_bars(path)
    assert panel.symbols == ("A", "B")
    assert panel.shape == (2, 2)
    assert refusals == []


def test_a_file_with_the_newest_bar_first_is_read_backwards(tmp_path: Path) -> None:
    path = csv(tmp_path, "all.csv", HEAD + "2024-01-03,A,1,2,1,1.5,1\n2024-01-02,A,1,2,1,2,1\n")
    panel, refusals = load_bars(path)
    assert panel.close.tolist() == [[2.0, 1.5]]
    assert refusals == []


def test_bad_bars_are_refused_one_by_one_and_the_good_ones_stay(tmp_path: Path) -> None:
    rows = [
        "2024-01-02,A,1,2,1,2,1",
        "2024-01-03,A,,2,1,2,1",
        "2024-01-04,A,oops,2,1,2,1",
        "2024-01-05,A,-1,2,1,2,1",
        "2024-01-08,A,1,1,2,1,1",
        "2024-01-09,A,9,2,1,2,1",
        "2024-01-10,A,1,2,1,9,1",
        "2024-01-11,A,1,2,1,2,1",
        "2024-01-11,A,1,2,1,2,1",
    ]
    panel, refusals = load_bars(csv(tmp_path, "all.csv", HEAD + "\n".join(rows)))
    assert [refusal.reason for refusal in refusals] == [
        BarDefect.NOT_A_NUMBER,
        BarDefect.NOT_A_NUMBER,
        BarDefect.NOT_POSITIVE,
        BarDefect.HIGH_BELOW_LOW,
        BarDefect.OPEN_OUTSIDE_RANGE,
        BarDefect.CLOSE_OUTSIDE_RANGE,
        BarDefect.DUPLICATE,
    ]
    assert panel.shape == (1, 8)


def test_float32_prices_become_whole_ten_thousandths(tmp_path: Path) -> None:
    day = pa.array([dt.date(2024, 1, 2)]).cast(pa.timestamp("ms"))
    prices = {name: pa.array([101.1], pa.float32()) for name in ("open", "high", "low", "close")}
    table = pa.table(
        {"Timestamp": day, "SYMBOL": ["A"], **prices, "volume": pa.array([5], pa.int64())}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    panel, _ = load_bars(tmp_path / "x.parquet")
    assert panel.close[0, 0] == 101.1


@pytest.mark.parametrize(
    ("instant", "session"),
    [
        (dt.datetime(2024, 1, 3, 5, tzinfo=dt.UTC), "2024-01-03"),
        (dt.datetime(2024, 1, 3, 21, tzinfo=dt.UTC), "2024-01-03"),
        (dt.datetime(2024, 1, 4, 3, tzinfo=dt.UTC), "2024-01-03"),
        (dt.datetime(2024, 1, 3, 0, tzinfo=dt.UTC), "2024-01-03"),
    ],
    ids=["midnight in New York", "the close", "the evening", "midnight in its own zone"],
)
def test_an_instant_counts_as_its_new_york_date_unless_it_is_a_midnight(
    tmp_path: Path, instant: dt.datetime, session: str
) -> None:
    columns = {name: pa.array([2.0]) for name in ("open", "high", "low", "close", "volume")}
    table = pa.table(
        {"timestamp": pa.array([instant], pa.timestamp("ms", tz="UTC")), "symbol": ["A"], **columns}
    )
    pq.write_table(table, tmp_path / "x.parquet")
    assert str(load_bars(tmp_path / "x.parquet")[0].sessions[0]) == session


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (
            "x.csv",
            "date,symbol,open,high,low,volume\n2024-01-02,A,1,2,1,1\n",
            "lacks the column close",
        ),
        (
            "x.csv",
            "symbol,open,high,low,close,volume\nA,1,2,1,2,1\n",
            "lacks the column timestamp or date or session",
        ),
        ("x.csv", HEAD + ",A,1,2,1,2,1\n", "without a date"),
        ("x.csv", HEAD + "2024-01-02,A,1,2,1,2,1\nsoon,A,1,2,1,2,1\n", "cannot be read: .*soon"),
        ("x.csv", HEAD + "20240102,A,1,2,1,2,1\n", "dates are numbers"),
        ("x.csv", HEAD, "no bars|not one usable"),
        ("x.csv", HEAD + "2024-01-02,A,-1,2,1,2,1\n", "not one usable bar .1 were refused"),
        ("x.csv", HEAD + "2024-01-02,A,1,2\n", "cannot be read"),
        ("x.parquet", "PAR1 this is none PAR1", "cannot be read"),
        ("x.parquet", "", "cannot be read"),
        ("x.xlsx", "", "neither .csv nor .parquet"),
    ],
)
def test_a_file_that_is_no_bars_is_refused_with_a_sentence(
    tmp_path: Path, name: str, text: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        load_bars(csv(tmp_path, name, text))


def test_nothing_to_read_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="neither a file nor a folder"):
        load_bars(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no \.csv or .parquet files"):
        load_bars(tmp_path)


def test_an_unknown_symbol_is_named(tmp_path: Path) -> None:
    path = csv(tmp_path, "x.csv", HEAD + "2024-01-02,A,1,2,1,2,1\n2024-01-02,B,1,2,1,2,1\n")
    assert load_bars(path, ["B"])[0].symbols == ("B",)
    with pytest.raises(UserError, match="no bars of ZZZ"):
        load_bars(path, ["A", "ZZZ"])


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    path = csv(tmp_path, "x.csv", HEAD + "2024-01-02,A,1,2,1,2,1\n")
    first = digest_of(tmp_path)
    path.touch()
    assert digest_of(tmp_path) == first
    csv(tmp_path, "x.csv", HEAD + "2024-01-02,A,1,2,1,2,2\n")
    assert digest_of(tmp_path) != first


def test_the_reference_file_is_read_whole(shared_folder: Path) -> None:
    bars = read_bars(shared_folder / "data" / "sp500_daily.parquet")
    assert (len(bars.symbols), bars.row.size) == (506, 1_235_021)
    panel, refusals = load_bars(shared_folder / "data" / "sp500_daily.parquet", ["SPY", "BRK.B"])
    assert panel.symbols == ("BRK.B", "SPY")
    assert panel.shape == (2, 2515)
    assert len(refusals) <= 10
