"""`kobe universe` as a person runs it: Alpaca keys alone suffice."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from shared.runtime.clock import SystemClock
from shared.runtime.recorded_time import NAME, Stretch, StretchedClock
from tests.integration.data_fetcher.recorded_process import environ, kobe, recorded_process


def test_a_universe_is_built_shown_checked_and_compared_with_alpaca_s_keys_alone(
    tmp_path: Path,
) -> None:
    out = tmp_path / "list.csv"
    with recorded_process("alpaca") as url:
        env = {**environ(url, tmp_path / "archive"), "MASSIVE_API_KEY": ""}
        command = ["universe", "build", "--as-of", "2020-12-31", "--out", str(out), "--cap", "10"]
        built = kobe(*command, "--minimum-dollar-volume", "1000000", "--json", env=env)
        assert built.returncode == 0, built.stderr
        assert json.loads(built.stdout)["chosen"] == 10
        fetched = kobe(
            *("data", "fetch", "--universe", str(out), "--vendor", "alpaca"),
            *("--start", "2020-01-02", "--end", "2020-12-31", "--json"),
            env=env,
        )
        assert fetched.returncode == 0, fetched.stderr
    assert "0/" in built.stderr or "units" in built.stderr
    valid = kobe("universe", "validate", str(out), "--minimum-dollar-volume", "1000000", env=env)
    assert valid.returncode == 0, valid.stdout
    shown = kobe("universe", "show", str(out), "--json", env=env)
    assert len(json.loads(shown.stdout)["symbols"]) == 10
    earliest = kobe("universe", "earliest", str(out), "--json", env=env)
    assert json.loads(earliest.stdout)["all_from"] == "2020-01-02"
    compared = kobe("universe", "diff", "starter", str(out), "--json", env=env)
    assert len(json.loads(compared.stdout)["added"]) == 10


def test_a_strict_check_of_a_list_fails_with_its_reasons(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text("symbol\nIBM\n")
    done = kobe(
        "universe", "validate", str(file), env=environ("http://127.0.0.1:9", tmp_path / "a")
    )
    assert done.returncode == 1
    assert "cannot be read as proofs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_probe_says_whether_a_vendor_answers_and_what_its_prices_mean(tmp_path: Path) -> None:
    evening = dt.datetime(2020, 12, 31, 22, tzinfo=dt.UTC)
    clock = StretchedClock(SystemClock().now(), (Stretch(evening, 600.0),))
    with recorded_process("alpaca") as url:
        env = {**environ(url, tmp_path / "archive"), "KOBE_TEST": "1", NAME: clock.text()}
        done = kobe("vendor", "probe", "alpaca", "--symbol", "S001", "--json", env=env)
        wrong = kobe("vendor", "probe", "alpaca", env={**env, "ALPACA_API_KEY_ID": "PKX"})
        unknown = kobe("vendor", "probe", "alpaca", "--symbol", "ZZZZ", env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["session"], found["basis"]) == ("2020-12-31", "unadjusted")
    assert wrong.returncode == 2
    assert "refuses the key, HTTP 401" in wrong.stderr
    assert unknown.returncode == 4
    assert "has no bar of ZZZZ for 2020-12-31" in unknown.stderr
