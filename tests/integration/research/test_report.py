"""report.html: self-contained, escaped, complete, and alive in a browser."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from services.research.backtest.html_report import render
from services.research.backtest.run import Run, backtest
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.reports.pages import heat_map
from services.research.reports.svg_charts import Series, chart, money
from tests.requirements import Requirement, require
from tests.unit.research.written_bars import SECOND_DAY, write_bars, write_strategy


@pytest.fixture(scope="module")
def sample() -> Run:
    return backtest(
        Inputs(strategies=(StrategyInputs(name="donchian"), StrategyInputs(name="turtle_soup"))), {}
    )


def data_of(page: str) -> dict[str, list[int]]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    told: dict[str, list[int]] = json.loads(found[1].replace("<\\/", "</"))
    return told


def test_it_fetches_nothing(sample: Run) -> None:
    page = render(sample)
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "@import" not in page


def test_every_trade_is_in_it_with_its_exact_money(sample: Run) -> None:
    told, trades = data_of(render(sample)), sample.result.trades
    assert len(told["pnl"]) == len(trades)
    assert sum(told["pnl"]) == round(float(trades.pnl.sum()) * 100)


def test_what_a_file_is_called_cannot_break_out(tmp_path: Path) -> None:
    name = "<script>alert(1)<|script>.csv"
    write_strategy(tmp_path / "own", "second_day", SECOND_DAY)
    write_bars(tmp_path / name, {"AAA": {}})
    inputs = Inputs(
        strategies=(StrategyInputs(name="second_day"),),
        bars=str(tmp_path / name),
        folder=str(tmp_path / "own"),
    )
    page = render(backtest(inputs, {}))
    assert "<script>alert" not in page


def test_a_run_without_trades_still_has_a_report(tmp_path: Path) -> None:
    write_strategy(tmp_path / "own", "never", "return on(panel, params, [], [])")
    write_bars(tmp_path / "bars.csv", {"A": {}})
    inputs = Inputs(
        strategies=(StrategyInputs(name="never"),),
        bars=str(tmp_path / "bars.csv"),
        folder=str(tmp_path / "own"),
    )
    assert "Only 0 trades" in render(backtest(inputs, {}))


def test_the_heat_map_compounds_to_the_whole() -> None:
    sessions = np.array(["2020-01-30", "2020-01-31", "2020-02-03", "2021-01-04"], "datetime64[D]")
    years = heat_map(sessions, np.array([101.0, 110.0, 99.0, 99.0]), 100.0)
    assert [year["year"] for year in years] == [2020, 2021]
    assert [cell and cell["text"] for cell in years[0]["cells"][:3]] == ["+10.0", "−10.0", None]
    assert years[0]["whole"]["text"] == "−1.0"


@pytest.mark.parametrize("values", [[5.0], [0.0, 0.0], [1.0, np.nan, 3.0], list(range(5000))])
def test_any_series_can_be_drawn(values: list[float]) -> None:
    sessions = np.datetime64("2020-01-01", "D") + np.arange(len(values))
    picture = chart(
        sessions, [Series("x", np.array(values, np.float64), "ours")], money, height=100, title="x"
    )
    assert "nan" not in picture
    assert "inf" not in picture


def test_a_peak_is_never_thinned_away() -> None:
    values = np.zeros(10_000)
    values[4_321] = 7.0
    sessions = np.datetime64("2000-01-01", "D") + np.arange(values.size)
    picture = chart(sessions, [Series("x", values, "ours")], money, height=100, title="x")
    points = re.search(r'points="([^"]+)"', picture)
    assert points
    assert len({point.split(",")[1] for point in points[1].split()}) == 2


@pytest.mark.slow
def test_in_a_browser_the_list_and_the_chart_are_drawn(sample: Run, tmp_path: Path) -> None:
    require(Requirement.CHROMIUM)
    (tmp_path / "report.html").write_text(render(sample))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
    ]
    options += [
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command = ["chromium", *options, "--dump-dom", f"file://{tmp_path / 'report.html'}"]
    page = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    listed = re.search(r'<table id="list">.*?</table>', page, re.DOTALL)
    assert listed
    assert listed[0].count("<tr") == 21
    assert f"1–20 of {len(sample.result.trades)}" in page
    drawn = re.search(r'<div id="picture">.*?</div>', page, re.DOTALL)
    assert drawn
    assert drawn[0].count("<rect") > 40
    assert "after costs." in page
