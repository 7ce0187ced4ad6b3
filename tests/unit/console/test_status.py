"""`kobe status` tells the truth: red as soon as anything is away, halted or in doubt."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.console.cli import status
from services.console.cli.app import run
from services.console.views.status import Disk, age_text, look, problems
from shared.runtime.bus.protocol import KillView
from shared.runtime.clock import ManualClock
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode, Stage
from tests.builders import NOON, SESSION, scan_ref
from tests.unit.console.fake_stack import NOW_MS, FakeClient, address

CLOCK = ManualClock(dt.datetime.fromtimestamp(NOW_MS / 1000, dt.UTC))


def bars(**changes: Any) -> m.BarsReady:
    values: dict[str, Any] = {
        "scan": None,
        "through": dt.date(2024, 1, 4),
        "digest": "0" * 64,
        "symbols": 5,
        "coverage": Decimal(1),
        "sufficient": True,
        "stale": (),
        "refused": {},
    }
    return m.BarsReady(**{**values, **changes})


def scan(aborted: str = "") -> m.ScanCompleted:
    return m.ScanCompleted(
        scan=scan_ref(),
        part=1,
        parts=1,
        exits=(),
        signals=(),
        bars_digest="0" * 64,
        aborted=aborted,
    )


def healthy(folder: Path) -> FakeClient:
    client = FakeClient(address(folder))
    client.say(
        m.SessionOpened(session=SESSION, previous=None, opens_at=NOON, closes_at=NOON),
        mode=Mode.PAPER,
    )
    client.say(bars())
    client.say(scan())
    client.states[ServiceName.SCHEDULER] = {"fired:opened": "2024-01-05T14:30:00+00:00"}
    account = m.AccountSeen(
        session=SESSION,
        stage=Stage.OPEN,
        account_number="PA1",
        cash=Decimal(1),
        equity=Decimal(1),
        buying_power=Decimal(1),
        blocked=False,
        open_orders=0,
        holdings=(),
        drift=(),
    )
    client.say(account)
    return client


def halted(client: FakeClient) -> None:
    client.halted = {"executor": ("killed: a drill",), "risk-gate": ("killed: a drill",)}


def without_kill_log(client: FakeClient) -> None:
    client.view = KillView(None, None)


def with_kill_file(client: FakeClient) -> None:
    Path(client.address.kill_file).touch()


def reducing(client: FakeClient) -> None:
    client.states[ServiceName.RISK_GATE] = {"book.trading_state": "reducing"}


def executor_away(client: FakeClient) -> None:
    client.away = frozenset({"executor"})


def not_answering(client: FakeClient) -> None:
    urls = {"risk-gate": "http://127.0.0.1:9/readiness"}
    client.address = msgspec.structs.replace(client.address, readiness_urls=urls)


def without_bars(client: FakeClient) -> None:
    client.streams = {key: value for key, value in client.streams.items() if key != "bars"}


def thin_bars(client: FakeClient) -> None:
    client.say(bars(sufficient=False))


def aborted_scan(client: FakeClient) -> None:
    client.say(scan(aborted="the archive changed"))


def disagreement(client: FakeClient) -> None:
    client.states[ServiceName.EXECUTOR] = {
        "drifts:AAPL": {"symbol": "AAPL", "what": "ours 3, theirs 0"}
    }


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (halted, "Halted: killed: a drill"),
        (without_kill_log, "The kill log is missing"),
        (with_kill_file, "Halted by the kill file"),
        (reducing, "The risk-gate is reducing"),
        (executor_away, "executor is away"),
        (not_answering, "risk-gate is not ready: does not answer"),
        (without_bars, "No bars have arrived"),
        (thin_bars, "cover too few symbols"),
        (aborted_scan, "was given up: the archive changed"),
        (disagreement, "disagree on AAPL"),
    ],
)
def test_each_trouble_turns_it_red_and_is_named(
    cause: Callable[[FakeClient], None],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = healthy(tmp_path)
    cause(client)
    monkeypatch.setattr(status, "open_client", lambda _: client)
    assert run(["status"]) == 1
    assert words in capsys.readouterr().out
    assert run(["status", "--json"]) == 1
    seen = json.loads(capsys.readouterr().out)
    assert not seen["ok"]
    assert any(words in problem for problem in seen["problems"])


def test_a_stack_that_is_well_is_green(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = healthy(tmp_path)
    monkeypatch.setattr(status, "open_client", lambda _: client)
    seen = look(client, CLOCK)
    assert seen.problems == ()
    assert seen.mode == "paper"
    assert seen.last_scan_age == 0.0


def test_a_broker_not_seen_for_long_is_a_problem_in_session_only(tmp_path: Path) -> None:
    seen = look(healthy(tmp_path), CLOCK)
    old = msgspec.structs.replace(seen, broker_seen_age=3600.0)
    assert any("has not been seen" in each for each in problems(old))
    assert not list(problems(msgspec.structs.replace(old, in_session=False)))
    assert not list(problems(msgspec.structs.replace(old, mode="sim")))


def test_a_full_disk_is_a_problem(tmp_path: Path) -> None:
    seen = look(healthy(tmp_path), CLOCK)
    full = Disk(path="/audit", free_bytes=1 << 20, free_share=0.5)
    assert any("nearly full" in each for each in problems(msgspec.structs.replace(seen, disk=full)))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "never"), (5, "5 s ago"), (200, "3 min ago"), (90_000, "25 h ago")],
)
def test_ages_are_round(seconds: float | None, words: str) -> None:
    assert age_text(seconds) == words
