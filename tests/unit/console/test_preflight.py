from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.console.cli.app import run
from services.console.stack.preflight import CheckResult, exit_code, run_checks
from shared.domain.errors import UserError
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import read_env_file
from shared.runtime.config.settings import DEFAULT_FILE, read_document, with_changes

pytestmark = pytest.mark.slow

KEYS = {"ALPACA_API_KEY_ID": "PKTEST", "ALPACA_API_SECRET_KEY": "secret"}


class Broker:
    """Answers every GET with one status."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"{}"
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(outer.body)

            def log_message(self, *_: Any) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    yield broker
    broker.server.shutdown()
    broker.server.server_close()


@pytest.fixture(autouse=True)
def bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of bars where the configuration looks for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bars").mkdir()
    file = tmp_path / "bars" / "AAPL.csv"
    file.write_text("date,open,high,low,close,volume\n")
    return file


def paper(broker: Broker, **more: str) -> dict[str, str]:
    return {
        "KOBE_MODE": "paper",
        "KOBE_BROKER_URL": broker.url,
        "KOBE_BROKER_DATA_URL": broker.url,
        **more,
    }


def found(environ: dict[str, str], what: str) -> CheckResult:
    return next(result for result in run_checks(environ) if result.what == what)


def test_paper_without_bars_is_said_so(broker: Broker, bars: Path, tmp_path: Path) -> None:
    document = with_changes(read_document(DEFAULT_FILE), {"paper.bars.vendor": "folder"})
    (tmp_path / "kobe.json").write_bytes(msgspec.json.encode(document))
    environ = paper(broker, KOBE_CONFIG=str(tmp_path / "kobe.json"), **KEYS)
    assert found(environ, "bars").exit_code == 0
    bars.unlink()
    result = found(environ, "bars")
    assert result.exit_code == 4
    assert "holds no bars" in result.sentence


def test_sim_needs_nothing() -> None:
    results = run_checks({})
    assert exit_code(results) == 0
    assert results[0].what == "mode"
    assert "by default" in results[0].sentence or "the default" in results[0].sentence


def test_the_mode_comes_first_and_what_is_not_checked_is_named(broker: Broker) -> None:
    results = run_checks(paper(broker, **KEYS))
    assert results[0].sentence.startswith("paper")
    assert [result.what for result in results if result.state == "not checked"] == [
        "Redis",
        "arming",
        "alerts",
    ]


def test_every_check_is_made_whatever_failed_before(broker: Broker) -> None:
    broker.status = 500
    results = run_checks(paper(broker))
    failed = {result.what: result.exit_code for result in results if result.state == "failed"}
    assert failed == {"keys": 2, "broker": 4, "quotes": 4}
    assert exit_code(results) == 2


def test_missing_keys_are_named_with_exit_code_2(broker: Broker) -> None:
    result = found(paper(broker, ALPACA_API_KEY_ID="PK"), "keys")
    assert result.exit_code == 2
    assert "ALPACA_API_SECRET_KEY missing" in result.sentence


def test_a_clock_that_is_off_fails(broker: Broker) -> None:
    clock = ManualClock(dt.datetime(2001, 1, 1, tzinfo=dt.UTC))
    results = run_checks(paper(broker, **KEYS), clock)
    result = next(each for each in results if each.what == "clock")
    assert result.exit_code == 4
    assert "from the broker's" in result.sentence


def test_a_kill_file_fails(broker: Broker, tmp_path: Path) -> None:
    (tmp_path / "KILL").touch()
    kill = {"KOBE_KILL_FILE": str(tmp_path / "KILL")}
    assert found(paper(broker, **KEYS, **kill), "kill file").exit_code == 4


def test_live_that_is_not_armed_fails(broker: Broker) -> None:
    live = paper(broker, **KEYS) | {"KOBE_MODE": "live", "KOBE_ACCOUNT": "123"}
    assert found(live, "arming").exit_code == 2


def test_a_redis_that_does_not_answer_fails(broker: Broker) -> None:
    redis = {"KOBE_REDIS_URL": "redis://127.0.0.1:9", "KOBE_REDIS_PASSWORD": "x"}
    assert found(paper(broker, **KEYS, **redis), "Redis").exit_code == 4


def test_another_account_than_the_configured_one_fails(broker: Broker) -> None:
    broker.body = b'{"account_number": "PA1"}'
    result = found(paper(broker, KOBE_ACCOUNT="PA2", **KEYS), "broker")
    assert "The account is PA1, but KOBE_ACCOUNT says PA2" in result.sentence


def test_a_configuration_that_is_wrong_or_not_the_pinned_one_has_exit_code_3(
    tmp_path: Path,
) -> None:
    (tmp_path / "kobe.toml").write_text("[universe]\nsymbols = []\nmaximun = 3\n")
    assert exit_code(run_checks({"KOBE_CONFIG": str(tmp_path / "kobe.toml")})) == 3
    assert exit_code(run_checks({"KOBE_CONFIG_PIN": "0" * 64})) == 3


def test_an_unknown_strategy_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    document = with_changes(read_document(DEFAULT_FILE), {"strategies.enabled": ["donchain"]})
    (tmp_path / "kobe.json").write_bytes(msgspec.json.encode(document))
    result = found({"KOBE_CONFIG": str(tmp_path / "kobe.json")}, "configuration")
    assert result.exit_code == 3
    assert "donchian" in result.sentence


@pytest.mark.parametrize(("status", "code"), [(200, 0), (401, 4), (403, 4), (500, 4), (302, 4)])
def test_the_status_of_the_brokers_answer_counts(broker: Broker, status: int, code: int) -> None:
    broker.status = status
    assert exit_code(run_checks(paper(broker, **KEYS))) == code


def test_a_broker_that_does_not_answer_has_exit_code_4() -> None:
    dead = {"KOBE_MODE": "paper", "KOBE_BROKER_URL": "http://127.0.0.1:9", **KEYS}
    result = found(dead, "broker")
    assert result.exit_code == 4
    assert "does not answer" in result.sentence


def test_an_env_file_that_sets_nothing_is_not_green(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "env").write_text("# nothing yet\nALPACA_API_KEY_ID=\n")
    assert run(["preflight", "--env-file", str(tmp_path / "env")]) == 2
    assert "sets no variable" in capsys.readouterr().err


def test_keys_come_from_an_env_file(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{name}={value}" for name, value in paper(broker, **KEYS).items()]
    (tmp_path / "env").write_text("# mine\n\nexport " + "\n".join(lines) + "\n")
    assert run(["preflight", "--env-file", str(tmp_path / "env")]) == 0
    assert "secret" not in capsys.readouterr().out


def test_an_env_file_that_is_no_env_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("just words\n")
    with pytest.raises(UserError, match="line 1: this is not NAME=value"):
        read_env_file(tmp_path / "env")
    assert run(["preflight", "--env-file", str(tmp_path / "none")]) == 2
