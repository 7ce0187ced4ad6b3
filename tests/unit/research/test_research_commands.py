"""`kobe backtest` and `kobe check-strategy` as a person types them.

Exit codes, JSON, tables, files.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.console.cli.app import run
from tests.unit.research.written_bars import SECOND_DAY, write_bars, write_strategy

pytestmark = pytest.mark.slow


@pytest.fixture
def bars(tmp_path: Path) -> str:
    return str(write_bars(tmp_path / "bars.csv", {"A": {}, "B": {4: (100, 101, 89, 95)}}))


@pytest.fixture
def own(tmp_path: Path) -> str:
    return str(write_strategy(tmp_path / "own", "second_day", SECOND_DAY))


def test_json_is_one_object_and_nothing_else(
    bars: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "--strategy", own, "--bars", bars, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["kind"] == "backtest"
    assert told["metrics"]["trades"] == 2
    assert told["exits"] == {"stop": 1, "time_stop": 1}


def test_for_people_it_is_a_table_with_the_warnings(
    bars: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "--strategy", own, "--bars", bars]) == 0
    said = capsys.readouterr().out
    assert "Final equity" in said
    assert "Only 2 trades" in said
    assert "--out" in said


def test_out_holds_every_artifact(bars: str, own: str, tmp_path: Path) -> None:
    assert run(["backtest", "--strategy", own, "--bars", bars, "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"trade_list.csv", "equity_curve.csv", "summary.json", "report.html"}


def test_without_the_report_there_are_three(bars: str, own: str, tmp_path: Path) -> None:
    assert (
        run(
            [
                "backtest",
                "--strategy",
                own,
                "--bars",
                bars,
                "--out",
                str(tmp_path / "out"),
                "--no-report",
            ]
        )
        == 0
    )
    assert not (tmp_path / "out/report.html").exists()


def test_what_is_set_reaches_the_strategy(
    bars: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    setting = ["--set", "second_day.bars=2", "--set", "second_day.stop=50.0"]
    assert run(["backtest", "--strategy", own, "--bars", bars, *setting, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["inputs"]["strategies"]["second_day"]["bars"] == 2
    assert told["metrics"]["average_hold"] == 2


def test_sizing_and_costs_are_obeyed(bars: str, own: str, tmp_path: Path) -> None:
    arguments = [
        "--sizing",
        "budget:2000",
        "--costs",
        "none",
        "--out",
        str(tmp_path / "out"),
        "--no-report",
    ]
    assert run(["backtest", "--strategy", own, "--bars", bars, *arguments]) == 0
    first = (tmp_path / "out/trade_list.csv").read_text().splitlines()[1].split(",")
    assert first[3:6] == ["19", "2020-01-03", "100.00"]


def test_policy_takes_its_sizing_and_limits_from_the_configuration(
    bars: str, own: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", "--strategy", own, "--bars", bars, "--policy", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["inputs"]["sizing"], told["inputs"]["size"]) == ("budget", "1000")
    assert told["metrics"]["trades"] == 2


def test_a_universe_file_limits_the_symbols(
    bars: str, own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "universe.txt").write_text("B\n")
    arguments = ["--universe", str(tmp_path / "universe.txt"), "--json"]
    assert run(["backtest", "--strategy", own, "--bars", bars, *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["inputs"]["symbols"] == ["B"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--strategy", "donchain"], 1, "did you mean 'donchian'"),
        (["--strategy", "none.py"], 1, "There is no strategy file none.py"),
        (["--strategy", "donchian,donchian"], 64, "named twice"),
        (["--bars", "nowhere.parquet"], 1, "neither a file nor a folder"),
        (["--universe", "nowhere.txt"], 1, "cannot be read"),
        (["--start", "tomorrow"], 64, "write YYYY-MM-DD"),
        (
            ["--start", "2012-01-01", "--end", "2011-01-01"],
            1,
            "There is no session from 2012-01-01 to 2011-01-01",
        ),
        (["--cash", "much"], 64, "--cash 'much'"),
        (["--sizing", "all"], 64, "cash_fraction:NUMBER"),
        (["--sizing", "cash_fraction:2"], 64, "between 0 and 1"),
        (["--costs", "few"], 64, "basis points"),
        (["--costs", "nan"], 64, "basis points"),
        (["--costs", "inf"], 64, "basis points"),
        (["--sizing", "cash_fraction:nan"], 64, "must be one of"),
        (["--sizing", "budget:inf"], 64, "must be one of"),
        (["--cash", "1e18"], 64, "at most 1,000,000,000,000"),
        (["--cash", "nan"], 64, "more than 0"),
        (["--basis", "raw-ish"], 64, "must be unadjusted, split"),
        (["--adjust", "nowhere.csv"], 1, "for files of your own"),
        (["--costs", "5+tips"], 64, "only `fees` is known"),
        (["--set", "donchian.lookbck=9"], 1, "did you mean 'lookback'"),
        (["--set", "lookback=9"], 64, "STRATEGY.PARAMETER=VALUE"),
        (["--set", "rsi2.sma_period=9"], 64, "'rsi2' is not among"),
        (["--set", "donchian.lookback=-1"], 1, "lookback"),
        (["--polcy"], 64, "--polcy"),
    ],
)
def test_a_wrong_call_is_one_sentence(
    arguments: list[str], code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["backtest", *arguments]) == code
    said = capsys.readouterr().err
    assert words in said
    assert len(said.strip().splitlines()) == 1


# --- check-strategy -------------------------------------------------------------------------------


def test_a_fit_strategy_passes(bars: str, own: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One signal a symbol, but at a place that counts sessions.

    Only a panel without holes will do.
    """
    honest = "row, column = np.nonzero(panel.close > 1e9)\nreturn on(panel, params, row, column)"
    file = write_strategy(Path(own).parent, "silent", honest)
    assert run(["check-strategy", str(file), "--bars", bars]) == 0
    said = capsys.readouterr().out
    assert "silent does not look ahead" in said
    assert "no signal on these bars" in said


def test_a_strategy_that_looks_ahead_is_found_out(
    tmp_path: Path, bars: str, capsys: pytest.CaptureFixture[str]
) -> None:
    body = """
row, column = np.nonzero(panel.close[:, :-1] > panel.close[:, 1:] + 1)
return on(panel, params, row, column)
"""
    file = write_strategy(tmp_path / "own", "prophet", body)
    assert run(["check-strategy", str(file), "--bars", bars, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    finding = next(each for each in told["findings"] if each["check"] == "looks ahead")
    assert (finding["symbol"], finding["session"]) == ("B", "2020-01-06")


def test_only_one_strategy_is_checked_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check-strategy", "donchian,ibs"]) == 64
    assert "one strategy at a time" in capsys.readouterr().err
