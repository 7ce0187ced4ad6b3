"""`kobe sim fault` schedules, lists and clears faults at a simulated broker.

And says what it may not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.console.cli.app import run
from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.runtime.observability.health_server import Server
from tests.unit.sim_broker.bar_table import BarTable
from tests.unit.sim_broker.trader import CASH


@pytest.fixture
def broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    simulator = Simulator(Exchange(BarTable(), cash=CASH))
    test = getattr(request, "param", True)
    server = Server(create_app(simulator, test=test), "127.0.0.1", 0).start()
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:1")
    monkeypatch.setenv("KOBE_BROKER_URL", f"http://127.0.0.1:{server.port}")
    yield simulator
    server.stop()


def fault(*words: str) -> int:
    return run(["sim", "fault", *words])


def test_faults_are_added_listed_and_cleared(
    broker: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fault("add", "split", "symbol=AAPL", "new=2", "session=2024-01-05") == 0
    assert fault("add", "delay", "seconds=0.5", "times=3", "--json") == 0
    shown, added = capsys.readouterr().out.split('{"faults"')
    assert "symbol=AAPL" in shown
    faults = json.loads('{"faults"' + added)["faults"]
    assert [(each["kind"], each["id"][0]) for each in faults] == [("delay", "f"), ("split", "e")]
    assert faults[0]["seconds"] == 0.5
    assert fault("clear", faults[0]["id"], "--json") == 0
    assert [each["kind"] for each in json.loads(capsys.readouterr().out)["faults"]] == ["split"]
    assert fault("clear") == 0
    assert fault("list") == 0
    assert "No fault is scheduled." in capsys.readouterr().out
    assert broker.scheduled_faults() == {}


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("add", "sabotage"), 1, "kind is one of bad_quote, block, clock_skew"),
        (("add", "split", "symbol=AAPL"), 1, "missing required field `new`"),
        (("add", "split", "symbol=AAPL", "neu=2", "new=2"), 1, "unknown field `neu`"),
        (("add", "split", "AAPL"), 64, "write name=value"),
        (("clear", "f9"), 1, "no fault or event of that id"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(
    broker: Simulator,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    assert fault(*words) == code
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("broker", [False], indirect=True)
def test_a_broker_outside_a_test_takes_no_faults(
    broker: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fault("list") == 1
    assert "KOBE_TEST=1" in capsys.readouterr().err


def test_without_a_broker_the_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOBE_BROKER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KOBE_REDIS_URL", "redis://127.0.0.1:1")
    assert fault("list") == 69
    assert "does not answer" in capsys.readouterr().err
