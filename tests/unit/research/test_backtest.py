"""A backtest from files to files.

What it says, that it says the same twice, and what it refuses.
"""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from services.research.backtest.run import Run, backtest, files, summary
from services.research.data.inputs import Inputs, StrategyInputs
from services.research.reports import artifacts
from shared.domain.errors import UserError
from shared.runtime.config.universe_list import read_universe
from tests.unit.research.written_bars import HEAD, SECOND_DAY, Bar, write_bars, write_strategy

pytestmark = pytest.mark.slow


def made(
    tmp_path: Path, changes: dict[str, dict[int, Bar | None]], days: int = 12, **facts: object
) -> Run:
    write_strategy(tmp_path / "own", "second_day", SECOND_DAY)
    bars = write_bars(tmp_path / "bars.csv", changes, days)
    strategies = (StrategyInputs(name="second_day"),)
    inputs = Inputs(strategies=strategies, bars=str(bars), folder=str(tmp_path / "own"), **facts)  # type: ignore[arg-type]
    return backtest(inputs, {})


def test_the_micro_case_is_told_in_the_trade_list(tmp_path: Path) -> None:
    run = made(tmp_path, {"A": {}})
    assert files(run)["trade_list.csv"] == (
        "symbol,strategy,side,qty,entry_session,entry_price,exit_session,exit_price,reason,bars_held,pnl,costs\n"
        "A,second_day,long,6,2020-01-03,100.05,2020-01-09,99.95,time_stop,5,-0.60,0.6000\n"
    )


def test_the_equity_curve_has_every_session_once(tmp_path: Path) -> None:
    lines = files(made(tmp_path, {"A": {}}))["equity_curve.csv"].splitlines()
    assert lines[0] == "session,equity,cash,gross"
    assert lines[1] == "2019-12-31,100000.0000,100000.0000,0.0000"
    assert lines[3] == "2020-01-03,99999.7000,99399.7000,600.0000"
    assert lines[-1] == "2020-01-16,99999.4000,99999.4000,0.0000"
    assert len(lines) == 13


def test_the_summary_names_inputs_digests_code_and_configuration(tmp_path: Path) -> None:
    run = made(tmp_path, {"A": {}})
    told = json.loads(files(run)["summary.json"])
    assert told["inputs"]["strategies"] == {
        "second_day": {"stop": 90.0, "target": 120.0, "bars": 5}
    }
    assert told["inputs"]["bars"] == "bars.csv"
    assert told["metrics"]["trades"] == 1
    assert told["digests"]["bars"] == run.market.digest
    assert len(told["digests"]["strategies"]["second_day"]) == 64
    assert told["code_version"]
    assert len(told["config_pin"]) == 64


def test_the_same_inputs_give_the_same_bytes_wherever_they_lie(tmp_path: Path) -> None:
    changes: dict[str, dict[int, Bar | None]] = {"A": {4: (100, 101, 89, 95)}, "B": {}}
    one, other = tmp_path / "one", tmp_path / "other"
    for place in (one, other):
        place.mkdir()
    assert files(made(one, changes)) == files(made(other, changes))


def test_another_strategy_file_is_another_run(tmp_path: Path) -> None:
    first = made(tmp_path, {"A": {}})
    (tmp_path / "own/second_day.py").write_text(
        (tmp_path / "own/second_day.py").read_text() + "\n# changed\n"
    )
    inputs = first.inputs
    assert backtest(inputs, {}).id != first.id


def test_start_limits_the_signals_and_not_the_history(tmp_path: Path) -> None:
    assert len(made(tmp_path, {"A": {}}, start=dt.date(2020, 1, 2)).result.trades) == 1
    late = made(tmp_path, {"A": {}}, start=dt.date(2020, 1, 3))
    assert len(late.result.trades) == 0
    assert late.sessions == ("2020-01-03", "2020-01-16")


def test_a_run_is_cut_at_its_end(tmp_path: Path) -> None:
    run = made(tmp_path, {"A": {}}, end=dt.date(2020, 1, 6))
    assert run.result.trades.reasons() == ["end_of_data"]
    assert any("open at the end" in warning for warning in run.warnings)


def test_spy_is_the_benchmark_even_outside_the_universe(tmp_path: Path) -> None:
    rising: dict[int, Bar | None] = {
        day: (100 + day, 101 + day, 99 + day, 100 + day) for day in range(12)
    }
    run = made(tmp_path, {"A": {}, "SPY": rising}, symbols=("A",))
    assert run.benchmark is not None
    assert run.benchmark.name == "SPY buy and hold"
    assert run.benchmark.equity[-1] == pytest.approx(111_000)
    assert run.market.panel.symbols == ("A",)


def test_without_spy_the_universe_is_bought_in_equal_parts(tmp_path: Path) -> None:
    late: dict[int, Bar | None] = dict.fromkeys(range(3))
    doubled: dict[int, Bar | None] = {11: (200, 201, 199, 200)}
    run = made(tmp_path, {"A": {}, "B": doubled, "C": late})
    assert run.benchmark is not None
    assert run.benchmark.name == "2 symbols in equal parts, bought and held"
    assert run.benchmark.equity[-1] == pytest.approx(150_000)


def test_what_cannot_be_believed_is_said(tmp_path: Path) -> None:
    gone: dict[int, Bar | None] = dict.fromkeys(range(200, 300))
    bad: dict[int, Bar | None] = {7: (100, 99, 101, 100)}
    everyone = " ".join(made(tmp_path, {"A": bad, "B": {}}, 300).warnings)
    assert "Survivorship: 0 of 2 symbols stopped trading, 0.0% a year" in everyone
    assert "1 high below low" in everyone
    assert "Only 2 trades" in everyone
    some = " ".join(made(tmp_path, {"A": {}, "B": gone}, 300).warnings)
    assert "Survivorship: 1 of 2 symbols (B) stopped trading" in some
    assert "Coverage: 83.3%" in some


# --- bad input ------------------------------------------------------------------------------------


def refused(tmp_path: Path, **facts: object) -> str:
    changes = facts.pop("changes", {"AAPL": {}, "IBM": {}})
    with pytest.raises(UserError) as error:
        made(tmp_path, changes, **facts)  # type: ignore[arg-type]
    return str(error.value)


def test_unknown_symbols_are_named_with_the_nearest(tmp_path: Path) -> None:
    assert (
        refused(tmp_path, symbols=("APPL", "IBM"))
        == "The bars of bars.csv have no APPL; did you mean 'AAPL'?"
    )


def test_an_empty_range_says_what_there_is(tmp_path: Path) -> None:
    sentence = refused(tmp_path, start=dt.date(2021, 1, 1))
    assert (
        sentence
        == "There is no session from 2021-01-01 to the end; the bars have 2019-12-31 to 2020-01-16."
    )


def test_too_few_bars_for_the_warm_up_are_refused(tmp_path: Path) -> None:
    bars = write_bars(tmp_path / "bars.csv", {"A": {}})
    with pytest.raises(UserError, match=r"donchian needs 57 bars .* none has more than 12"):
        backtest(Inputs(strategies=(StrategyInputs(name="donchian"),), bars=str(bars)), {})


def test_an_unknown_strategy_names_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'donchain'.*'donchian'"):
        backtest(Inputs(strategies=(StrategyInputs(name="donchain"),)), {})


def test_no_cash_is_refused(tmp_path: Path) -> None:
    assert "--cash" in refused(tmp_path, cash=Decimal(0))


def test_a_strategy_that_raises_is_told_with_its_line(tmp_path: Path) -> None:
    body = "values = [1]\nreturn values[5]"
    file = write_strategy(tmp_path / "own", "falls_over", body)
    bars = write_bars(tmp_path / "bars.csv", {"A": {}})
    strategies = (StrategyInputs(name="falls_over"),)
    with pytest.raises(
        UserError, match="falls_over raised IndexError: list index out of range"
    ) as error:
        backtest(Inputs(strategies=strategies, bars=str(bars), folder=str(file.parent)), {})
    assert f"line {len(file.read_text().splitlines())} of falls_over.py" in str(error.value)


def test_a_strategy_of_the_wrong_shape_is_refused(tmp_path: Path) -> None:
    file = write_strategy(tmp_path / "own", "tells_a_list", "return []")
    bars = write_bars(tmp_path / "bars.csv", {"A": {}})
    with pytest.raises(UserError, match=r"tells_a_list does not answer as it must.*SignalTable"):
        backtest(
            Inputs(
                strategies=(StrategyInputs(name="tells_a_list"),),
                bars=str(bars),
                folder=str(file.parent),
            ),
            {},
        )


def test_a_strategy_that_looks_ahead_is_not_believed(tmp_path: Path) -> None:
    body = (
        "day = int(np.nanargmax(panel.close[0]))\nreturn on(panel, params, [0], [max(0, day - 1)])"
    )
    file = write_strategy(tmp_path / "own", "prophet", body)
    rising: dict[int, Bar | None] = {
        day: (100 + day / 10, 109, 99, 100 + day / 10) for day in range(40)
    }
    bars = write_bars(tmp_path / "bars.csv", {"A": rising}, 40)
    with pytest.raises(UserError, match="prophet cannot be believed: looks ahead"):
        backtest(
            Inputs(
                strategies=(StrategyInputs(name="prophet"),),
                bars=str(bars),
                folder=str(file.parent),
            ),
            {},
        )


def test_repeated_bars_are_dropped_and_counted_and_order_does_not_matter(tmp_path: Path) -> None:
    run = made(tmp_path, {"A": {}})
    file = tmp_path / "bars.csv"
    file.write_text(
        file.read_text() + "2020-01-16,A,100,101,99,100,1000\n2020-01-08,A,100,101,99,100,1000\n"
    )
    again = backtest(run.inputs, {})
    assert again.market.refused == {"duplicate": 2}
    np.testing.assert_array_equal(again.result.equity, run.result.equity)


def test_bars_without_any_row_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text(HEAD + "\n")
    with pytest.raises(UserError, match="holds no bars"):
        backtest(
            Inputs(strategies=(StrategyInputs(name="donchian"),), bars=str(tmp_path / "none.csv")),
            {},
        )


# --- the universe ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "AAPL\nIBM\n",
        "# mine\nAAPL # good\n\nIBM\nAAPL\n",
        "symbol\nAAPL\nIBM\n",
        "name,Symbol\nx,AAPL\ny,IBM\n",
        " aapl \nNYSE:IBM\n",
    ],
)
def test_a_universe_is_a_list_or_a_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "universe.txt").write_text(text)
    assert read_universe(tmp_path / "universe.txt") == ("AAPL", "IBM")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no symbol"),
        ("a,b\nAAPL,1\n", "none of them is `symbol`"),
        ("AAPL\n[/]\n", r"names '\[/\]', which is no symbol"),
    ],
)
def test_a_universe_without_symbols_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "universe.txt").write_text(text)
    with pytest.raises(UserError, match=words):
        read_universe(tmp_path / "universe.txt")


# --- on disk --------------------------------------------------------------------------------------


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = files(made(tmp_path, {"A": {}}))
    whole = Path.write_text

    def full(path: Path, text: str, **options: str) -> int:
        if path.name == "summary.json":
            raise OSError(28, "No space left on device")
        return whole(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(UserError, match=r"could not be written .*No space left on device"):
        artifacts.write_run(tmp_path / "out", texts)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_second_run_replaces_the_first_and_leaves_other_files(tmp_path: Path) -> None:
    out = tmp_path / "deep/out"
    artifacts.write_run(out, {"summary.json": "1", "a/b.csv": "1"})
    (out / "notes.txt").write_text("mine")
    artifacts.write_run(out, {"summary.json": "2", "a/b.csv": "2"})
    assert {path.name: path.read_text() for path in out.rglob("*") if path.is_file()} == {
        "summary.json": "2",
        "b.csv": "2",
        "notes.txt": "mine",
    }


def test_the_sample_needs_no_files_and_no_keys() -> None:
    told = summary(
        backtest(
            Inputs(strategies=(StrategyInputs(name="donchian"), StrategyInputs(name="rsi2"))), {}
        )
    )
    assert told["universe"]["symbols"] == 5
    assert told["metrics"].trades > 100
    assert told["period"]["first"] == "2000-03-01"
