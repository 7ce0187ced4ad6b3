"""The operator's hand refuses what makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.console.cli import control
from services.console.cli.app import run
from shared.schemas import messages as m
from shared.schemas.streams import ServiceName
from tests.unit.console.fake_stack import FakeClient, address


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[m.Message]:
    """What the commands write to the control stream of a stack that drifts on AAPL."""
    client = FakeClient(address(tmp_path))
    lots = [{"qty": 3, "price": "180.1", "session": "2024-01-05"}]
    ids = {"parent": "k81-a", "decision_id": "DEC", "correlation_id": "SCAN"}
    held = {"symbol": "IBM", "strategy": "ibs", "lots": lots, "protection": None, **ids}
    client.states[ServiceName.EXECUTOR] = {
        "disputes:AAPL": {"theirs": "0", "why": "gone: we hold 3, the broker 0"},
        "positions:IBM": held,
    }
    written: list[m.Message] = []
    monkeypatch.setattr(control, "open_client", lambda _: client)
    monkeypatch.setattr(control, "send_control", lambda _, message: written.append(message))
    return written


def test_only_a_symbol_that_differs_can_be_acknowledged(
    said: list[m.Message], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["acknowledge", "nosuch"]) == 1
    assert "do not disagree on NOSUCH; they disagree on AAPL" in capsys.readouterr().err
    assert not said
    assert run(["acknowledge", "aapl"]) == 0
    assert [type(message) for message in said] == [m.DriftAcknowledged]
    assert "AAPL may be traded again" in capsys.readouterr().out


def test_every_steering_command_speaks_json(
    said: list[m.Message], capsys: pytest.CaptureFixture[str]
) -> None:
    words = (["acknowledge", "AAPL"], ["adopt", "AAPL"], ["release", "IBM"])
    for arguments in (["activate", "all well"], ["reconcile"], *words):
        assert run([*arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
    assert len(said) == 5


def test_only_what_we_hold_can_be_released(
    said: list[m.Message], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["release", "AAPL"]) == 1
    assert "We do not hold AAPL; we hold IBM" in capsys.readouterr().err
    assert run(["adopt", "IBM"]) == 1
    assert not said
    assert run(["release", "ibm"]) == 0
    assert [type(message) for message in said] == [m.ReleaseRequested]
