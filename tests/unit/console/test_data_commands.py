"""`kobe data check|import|export` on made bars.

What they say, their exit codes, and the way there and back.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from services.console.cli.app import run
from shared.domain.market.bars import bars_of
from shared.runtime.archive.archive import BarArchive
from shared.runtime.bar_files.reader import read_files
from tests.unit.bar_files.test_splits import raw_bars
from tests.unit.bar_files.written import frame, walk


@pytest.fixture
def prices(tmp_path: Path) -> str:
    frame(walk()).to_csv(tmp_path / "prices.csv", index=False)
    return str(tmp_path / "prices.csv")


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    assert run(["data", *arguments, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_good_bars_are_checked_with_exit_code_0(
    prices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "check", prices]) == 0
    said = capsys.readouterr().out
    assert "2 symbols, 2016-03-14 to 2018-12-20" in said
    assert "jumps like splits" in said


def test_a_jump_is_named_and_ends_with_exit_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame(raw_bars()).to_csv(tmp_path / "raw.csv", index=False)
    found = answer(capsys, "check", str(tmp_path / "raw.csv"), code=1)["check"]
    assert isinstance(found, dict)
    assert found["symbols"][0]["jumps"] == ["2017-06-09 7:1"]
    assert "look unadjusted" in found["faults"][0]


def test_two_files_are_compared(
    tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    other = frame(walk())
    close = other["close"].to_numpy(copy=True)
    close[5] = other["high"].to_numpy()[5]
    other.assign(close=close).to_csv(tmp_path / "other.csv", index=False)
    found = answer(capsys, "check", prices, "--against", str(tmp_path / "other.csv"), code=1)
    comparison = found["comparison"]
    assert isinstance(comparison, dict)
    assert (comparison["differing"], comparison["symbols"]) == (1, 2)


def test_bars_go_into_an_archive_out_as_files_and_back_in(
    tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, files, back = (str(tmp_path / name) for name in ("archive", "files", "back"))
    first = answer(capsys, "import", prices, "--archive", archive)
    answer(capsys, "export", files, "--archive", archive)
    assert sorted(path.name for path in Path(files).iterdir()) == [
        "AAPL_2016-03-14_2018-12-20.csv",
        "BRK.B_2016-03-14_2018-12-20.csv",
    ]
    again = answer(capsys, "import", files, "--archive", back)
    assert again["digest"] == first["digest"]
    assert run(["data", "check", back]) == 0


def test_an_import_adds_to_an_archive_of_the_same_basis_and_refuses_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = str(tmp_path / "archive")
    data = frame(walk())
    data[data["symbol"] == "AAPL"].to_csv(tmp_path / "one.csv", index=False)
    data[data["symbol"] == "BRK.B"].to_csv(tmp_path / "two.csv", index=False)
    answer(capsys, "import", str(tmp_path / "one.csv"), "--archive", archive)
    found = answer(capsys, "import", str(tmp_path / "two.csv"), "--archive", archive)
    assert (found["symbols"], found["added"]) == (2, True)
    arguments = ["import", str(tmp_path / "two.csv"), "--archive", archive, "--basis", "total"]
    assert run(["data", *arguments]) == 1
    assert "bars of two bases are never mixed" in capsys.readouterr().err


def test_a_file_whose_days_lie_within_anothers_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = frame(walk(("AAPL",)))
    old = own[own["date"] < "2017-06-01"].assign(close=lambda data: data["low"])
    own.to_csv(tmp_path / "AAPL_2016-01-01_2018-12-31.csv", index=False)
    old.to_csv(tmp_path / "AAPL_2016-01-01_2017-05-31.csv", index=False)
    read = read_files(tmp_path)
    assert read.left_out == ("AAPL_2016-01-01_2017-05-31.csv (within another file)",)
    assert np.array_equal(bars_of(read.panel).close, walk(("AAPL",)).close)


def test_raw_bars_go_out_as_they_were_archived(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame(raw_bars()).to_csv(tmp_path / "raw.csv", index=False)
    archive, files = str(tmp_path / "archive"), tmp_path / "files"
    arguments = ["import", str(tmp_path / "raw.csv"), "--archive", archive, "--accept-flawed"]
    answer(capsys, *arguments)
    answer(capsys, "export", str(files), "--archive", archive, "--raw", "--symbols", "AAPL")
    text = next(files.glob("AAPL_*.csv")).read_text().splitlines()
    assert text[1].startswith("2016-03-14,AAPL,")
    assert (files / "splits.csv").read_text() == "symbol,ex_date,ratio\n"


def test_a_damaged_archive_is_found(
    tmp_path: Path, prices: str, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "archive"
    answer(capsys, "import", prices, "--archive", str(archive))
    part = next((archive / "bars").glob("*.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0xFF
    part.write_bytes(content)
    found = answer(capsys, "check", str(archive), code=1)["check"]
    assert isinstance(found, dict)
    assert "is not what was written" in found["faults"][0]
    assert BarArchive.open(archive).intact


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "nowhere.csv"], "neither a file nor a folder"),
        (["import", "nowhere.csv"], "neither a file nor a folder"),
        (["export", "out", "--archive", "nowhere"], "no bars in nowhere yet"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", *arguments]) == 1
    assert words in capsys.readouterr().err
