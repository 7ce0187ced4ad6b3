"""Mode, address, key, account and arming tell one story; whom the executor obeys; how often."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import nullcontext
from pathlib import Path

import pytest

from services.executor.brokers.alpaca import wire_account
from services.executor.brokers.alpaca.connection import refuse_address
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.startup.live_guards import refuse_account, refuse_unarmed
from services.executor.startup.signature_check import only_the_gate
from shared.domain.errors import InvalidMessage, UserError
from shared.runtime.clock import ManualClock
from shared.runtime.signing import Keyring, Signer
from shared.schemas.messages import SessionOpened
from shared.schemas.values import Mode
from tests.builders import NOON, SESSION, approval, envelope
from tests.fakes import KeptLog

PAPER, LIVE = "https://paper-api.alpaca.markets", "https://api.alpaca.markets"


@pytest.mark.parametrize(
    ("mode", "url", "key"),
    [
        (Mode.SIM, "http://127.0.0.1:8080", ""),
        (Mode.SIM, "http://sim-broker:8000", "anything"),
        (Mode.PAPER, PAPER, "PK1"),
        (Mode.LIVE, LIVE, "AK1"),
    ],
)
def test_what_fits_starts(mode: Mode, url: str, key: str) -> None:
    refuse_address(mode, url, key, "secret")


@pytest.mark.parametrize(
    ("mode", "url", "key"),
    [
        (Mode.SIM, PAPER, "PK1"),
        (Mode.SIM, LIVE, "AK1"),
        (Mode.PAPER, LIVE, "PK1"),
        (Mode.PAPER, PAPER, "AK1"),
        (Mode.PAPER, PAPER, ""),
        (Mode.PAPER, "http://paper-api.alpaca.markets", "PK1"),
        (Mode.PAPER, "http://127.0.0.1:8080", "PK1"),
        (Mode.LIVE, PAPER, "AK1"),
        (Mode.LIVE, LIVE, "PK1"),
        (Mode.LIVE, "https://api.alpaca.markets.evil.example", "AK1"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(mode: Mode, url: str, key: str) -> None:
    with pytest.raises(UserError):
        refuse_address(mode, url, key, "secret")


def account_body(number: str) -> bytes:
    money = {"cash": "1", "buying_power": "1", "equity": "1"}
    return json.dumps({"account_number": number, **money}).encode()


@pytest.mark.parametrize(
    ("mode", "expected", "number", "fits"),
    [
        (Mode.SIM, "sim", "SIM000001", True),
        (Mode.PAPER, "paper", "PA3X", True),
        (Mode.PAPER, "PA3X", "PA3X", True),
        (Mode.PAPER, "PA3X", "PA3Y", False),
        (Mode.PAPER, "paper", "123456789", False),
        (Mode.LIVE, "123456789", "123456789", True),
        (Mode.LIVE, "live", "123456789", False),
        (Mode.LIVE, "PA3X", "PA3X", False),
    ],
)
def test_the_brokers_account_must_be_the_one_meant(
    mode: Mode, expected: str, number: str, fits: bool
) -> None:
    with nullcontext() if fits else pytest.raises(UserError):
        refuse_account(mode, expected, wire_account.read_account(account_body(number)))


def armed(file: Path, **changes: object) -> Path:
    values = {"account": "123", "expires_at": (NOON + dt.timedelta(hours=1)).isoformat()}
    file.write_text(json.dumps({**values, **changes}))
    return file


def test_live_needs_an_arming_file_for_this_account_that_has_not_expired(tmp_path: Path) -> None:
    file = tmp_path / "ARMED"
    for wrong in (
        tmp_path / "absent",
        armed(tmp_path / "a", account="456"),
        armed(tmp_path / "b", expires_at=NOON.isoformat()),
        armed(tmp_path / "c", expires_at="2030-01-01T00:00:00"),
        armed(tmp_path / "d", expires_at=None),
    ):
        with pytest.raises(UserError, match="not armed"):
            refuse_unarmed(Mode.LIVE, wrong, "123", NOON)
    refuse_unarmed(Mode.LIVE, armed(file), "123", NOON)
    refuse_unarmed(Mode.PAPER, tmp_path / "absent", "123", NOON)


def test_only_what_the_gate_has_signed_is_obeyed() -> None:
    gate, thief, log = Signer.generate(), Signer.generate(), KeptLog()
    halts: list[str] = []
    verify = only_the_gate(Keyring.of([gate.public_key("risk-gate")]), log, halt=halts.append)
    order = envelope(approval())
    verify(gate.sign(order))
    verify(envelope(SessionOpened(session=SESSION, previous=None, opens_at=NOON, closes_at=NOON)))
    for forged in (order, thief.sign(order)):
        with pytest.raises(InvalidMessage):
            verify(forged)
    assert len(halts) == 2
    assert log.events == ["signature_refused"] * 2


def test_in_no_minute_are_there_more_requests_than_the_broker_takes() -> None:
    clock = ManualClock(NOON)
    budget = RequestWindow(per_minute=180, reserved=30, clock=clock)
    left: list[float] = []
    for _ in range(3000):
        clock.advance(0.1)
        if budget.wait(order=False) == 0:
            budget.spend()
            left.append(clock.elapsed)
    assert max(sum(start <= at < start + 60 for at in left) for start in left[::20]) <= 180
    assert len(left) >= 850


def test_the_wait_told_is_enough() -> None:
    clock = ManualClock(NOON)
    budget = RequestWindow(per_minute=3, reserved=1, clock=clock)
    for _ in range(2):
        clock.advance(10)
        budget.spend()
    wait = budget.wait(order=True)
    assert wait > 0
    assert budget.wait(order=False) == 0
    clock.advance(wait)
    assert budget.wait(order=True) == 0
