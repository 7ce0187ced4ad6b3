"""`kobe walk-forward`, `showdown`, `montecarlo` and `worker` as they are typed.

Files, exit codes, sentences.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.console.cli.app import run
from services.research.walk_forward import estimate
from services.research.walk_forward.trials import Trials
from tests.oracles.made_bars import cent_walks
from tests.unit.research.walks import csv_bars, planned

WINDOWS = ("--train", "60", "--test", "40", "--set", "donchian.min_price=1")
CONFIG = "[research.grids.donchian]\nlookback = [20, 40, 55, 100]\nstop_mult = [1.5, 2.0, 3.0]\n"


@pytest.fixture
def bars(tmp_path: Path) -> str:
    return str(csv_bars(tmp_path / "bars.csv", cent_walks(3, symbols=4, bars=200)))


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KOBE_CONFIG", "KOBE_RESEARCH_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


def small_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lookbacks: str = "[5, 10]") -> None:
    text = (Path(__file__).resolve().parents[3] / "compose" / "kobe.toml").read_text()
    changed = text.replace(CONFIG, f"[research.grids.donchian]\nlookback = {lookbacks}\n")
    assert changed != text
    (tmp_path / "kobe.toml").write_text(changed)
    monkeypatch.setenv("KOBE_CONFIG", str(tmp_path / "kobe.toml"))


def walk(bars: str, out: Path, *more: str) -> int:
    return run(
        [
            "walk-forward",
            "--strategy",
            "donchian",
            "--bars",
            bars,
            "--out",
            str(out),
            *WINDOWS,
            *more,
        ]
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".units" not in file.parts
    }


def test_a_walk_forward_writes_its_files_and_says_the_trials(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_grid(tmp_path, monkeypatch)
    assert walk(bars, tmp_path / "one") == 0
    said = capsys.readouterr().out
    assert "2 parameter sets were tried" in said
    assert "Deflated Sharpe" in said
    assert walk(bars, tmp_path / "two", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"] == 4
    assert told["trials"] == 2
    one, two = files_of(tmp_path / "one"), files_of(tmp_path / "two")
    assert one == two
    assert len(one) == 4 * 4 + 4


@pytest.mark.parametrize(
    ("more", "code", "sentence"),
    [
        (["--objective", "luck"], 64, "--objective 'luck' must be one of sharpe"),
        (["--train", "1"], 64, "train"),
        (["--train", "500"], 1, "500 sessions of training leave nothing to test"),
        (["--start", "2030-01-01"], 1, "no session"),
        (["--set", "donchian.lookbak=3"], 1, "lookback"),
        (["--strategy", "donchain"], 64, "'donchian' is not among donchain"),
        (["--bars", "/nowhere/bars.csv"], 1, "/nowhere/bars.csv"),
    ],
)
def test_bad_input_is_one_sentence(
    bars: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    code: int,
    sentence: str,
) -> None:
    assert walk(bars, tmp_path / "out", *more) == code
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") <= 2
    assert not (tmp_path / "out" / "wf_summary.json").exists()


def test_a_huge_grid_says_how_long_it_takes_and_asks_for_leave(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lookbacks, periods, stops = (list(range(*span)) for span in ((2, 152), (2, 202), (1, 41)))
    small_grid(
        tmp_path, monkeypatch, f"{lookbacks}\natr_period = {periods}\ntime_stop_bars = {stops}"
    )
    assert walk(bars, tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "1,200,000 parameter sets on 4 windows will take about" in said
    assert "--yes" in said


def test_leave_needs_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    many = {"lookback": tuple(range(2, 152)), "atr_period": tuple(range(2, 202))}
    made = planned(grids={"donchian": many})
    estimate.refuse_endless_grid(made, Trials(made.market), yes=True)
    assert estimate.estimate_seconds(made, Trials(made.market)) > 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "about 1 second"),
        (90, "about 90 seconds"),
        (600, "about 10 minutes"),
        (9 * 3600, "about 9 hours"),
    ],
)
def test_durations_are_said_in_round_words(seconds: float, words: str) -> None:
    assert estimate.duration_text(seconds) == words


def test_a_queue_without_redis_is_one_sentence(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOBE_RESEARCH_REDIS_URL", "redis://127.0.0.1:1")
    assert walk(bars, tmp_path / "out", "--queue") == 69
    assert "The research Redis does not answer" in capsys.readouterr().err


def test_an_address_that_is_none_is_refused(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOBE_RESEARCH_REDIS_URL", "nonsense")
    assert walk(bars, tmp_path / "out", "--queue") == 64
    assert "KOBE_RESEARCH_REDIS_URL" in capsys.readouterr().err


def test_a_showdown_puts_all_strategies_side_by_side(
    bars: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["showdown", "--bars", bars, "--out", str(tmp_path / "out"), "--json"]) == 1
    assert "needs 202 bars" in json.loads(capsys.readouterr().out)["error"]
    names = "donchian,ibs"
    changes = ["--set", "ibs.sma_period=20", "--set", "donchian.min_price=1"]
    command = [
        "showdown",
        "--strategy",
        names,
        "--bars",
        bars,
        *changes,
        "--out",
        str(tmp_path / "out"),
        "--json",
    ]
    assert run(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["strategies"]) == ["donchian", "ibs"]
    assert told["correlations"]["donchian"][0] == pytest.approx(1)
    rows = (tmp_path / "out" / "showdown.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["strategy", "donchian", "ibs"]
    assert "How alike they are" in (tmp_path / "out" / "showdown.html").read_text()


def test_monte_carlo_reads_a_backtest_and_draws_the_same_twice(
    bars: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--strategy",
        "donchian",
        "--bars",
        bars,
        "--set",
        "donchian.lookback=5",
        "--set",
        "donchian.min_price=1",
    ]
    assert run(["backtest", *options, "--out", str(tmp_path / "run"), "--no-report"]) == 0
    capsys.readouterr()
    assert run(["montecarlo", str(tmp_path / "run"), "--samples", "300", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    out = tmp_path / "out"
    assert run(["montecarlo", *options, "--samples", "300", "--out", str(out), "--json"]) == 0
    ran = json.loads(capsys.readouterr().out)
    assert read["run"] == ran["run"]
    # the folder's curve is written to a ten-thousandth of a dollar
    assert read["days"]["total_return"] == pytest.approx(ran["days"]["total_return"], abs=1e-8)
    returns = ran["trade_sessions"]["total_return"]
    assert returns == sorted(returns)
    assert "drawn" in (out / "montecarlo.html").read_text()


def test_monte_carlo_refuses_a_folder_that_is_no_backtest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["montecarlo", str(tmp_path)]) == 1
    assert "is not the folder of a backtest or walk-forward" in capsys.readouterr().err


def test_too_few_trades_are_not_drawn_from(bars: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["montecarlo", "--strategy", "donchian", "--bars", bars]) == 1
    assert "too few to draw from" in capsys.readouterr().err


def test_a_worker_without_redis_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOBE_RESEARCH_REDIS_URL", "redis://127.0.0.1:1")
    assert run(["worker", "--burst"]) == 69
    assert "The research Redis does not answer" in capsys.readouterr().err


def test_results_of_every_kind_stand_side_by_side_in_one_folder(
    bars: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_grid(tmp_path, monkeypatch)
    out = str(tmp_path / "all")
    options = ["--strategy", "donchian", "--bars", bars, "--set", "donchian.lookback=5"]
    options += ["--set", "donchian.min_price=1"]
    assert run(["backtest", *options, "--out", out, "--no-report"]) == 0
    backtest = (tmp_path / "all" / "summary.json").read_bytes()
    assert run(["montecarlo", out, "--samples", "50", "--out", out]) == 0
    assert run(["showdown", *options, "--out", out]) == 0
    assert walk(bars, Path(out), "--no-report") == 0
    assert (tmp_path / "all" / "summary.json").read_bytes() == backtest
    kinds = {
        name: json.loads((tmp_path / "all" / name).read_text())["kind"]
        for name in ("summary.json", "montecarlo.json", "showdown.json", "wf_summary.json")
    }
    assert list(kinds.values()) == ["backtest", "montecarlo", "showdown", "walk-forward"]
    assert run(["montecarlo", out, "--samples", "50"]) == 0
