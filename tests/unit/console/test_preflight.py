from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.console.cli.app import run
from services.console.stack.preflight import run_checks
from shared.domain.errors import UserError
from shared.runtime.config.environment import read_env_file
from shared.runtime.config.settings import DEFAULT_FILE, read_document, with_changes

KEYS = {"ALPACA_API_KEY_ID": "PKTEST", "ALPACA_API_SECRET_KEY": "secret"}


class Broker:
    """Answers every GET with one status."""

    def __init__(self) -> None:
        self.status = 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(outer.status)
                self.end_headers()
                self.wfile.write(b"{}")

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


def test_paper_without_bars_is_said_so(broker: Broker, bars: Path, tmp_path: Path) -> None:
    document = with_changes(read_document(DEFAULT_FILE), {"paper.bars.vendor": "folder"})
    (tmp_path / "kobe.json").write_bytes(msgspec.json.encode(document))
    environ = paper(broker, KOBE_CONFIG=str(tmp_path / "kobe.json"), **KEYS)
    assert run_checks(environ)[-1].exit_code == 0
    bars.unlink()
    last = run_checks(environ)[-1]
    assert last.exit_code == 4
    assert "holds no bars" in last.sentence


def test_sim_needs_nothing() -> None:
    assert [finding.exit_code for finding in run_checks({})] == [0, 0]


def test_missing_keys_are_named_with_exit_code_2(broker: Broker) -> None:
    last = run_checks(paper(broker, ALPACA_API_KEY_ID="PK"))[-1]
    assert last.exit_code == 2
    assert "ALPACA_API_SECRET_KEY missing" in last.sentence


def test_a_configuration_that_is_wrong_or_not_the_pinned_one_has_exit_code_3(
    tmp_path: Path,
) -> None:
    (tmp_path / "kobe.toml").write_text("[universe]\nsymbols = []\nmaximun = 3\n")
    assert run_checks({"KOBE_CONFIG": str(tmp_path / "kobe.toml")})[-1].exit_code == 3
    assert run_checks({"KOBE_CONFIG_PIN": "0" * 64})[-1].exit_code == 3


def test_an_unknown_strategy_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    document = with_changes(read_document(DEFAULT_FILE), {"strategies.enabled": ["donchain"]})
    (tmp_path / "kobe.json").write_bytes(msgspec.json.encode(document))
    last = run_checks({"KOBE_CONFIG": str(tmp_path / "kobe.json")})[-1]
    assert last.exit_code == 3
    assert "donchian" in last.sentence


@pytest.mark.parametrize(("status", "code"), [(200, 0), (401, 4), (403, 4), (500, 4), (302, 4)])
def test_the_status_of_the_brokers_answer_counts(broker: Broker, status: int, code: int) -> None:
    broker.status = status
    assert run_checks(paper(broker, **KEYS))[-1].exit_code == code


def test_a_broker_that_does_not_answer_has_exit_code_4() -> None:
    dead = {"KOBE_MODE": "paper", "KOBE_BROKER_URL": "http://127.0.0.1:9", **KEYS}
    last = run_checks(dead)[-1]
    assert last.exit_code == 4
    assert "does not answer" in last.sentence


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
