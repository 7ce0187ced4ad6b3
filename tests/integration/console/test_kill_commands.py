"""`kobe kill` and `kobe resume` on a running stack: what is said is what has happened."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.console.cli.app import run
from services.console.kill_switch.resumption import Resumer
from services.console.stack.client import StackClient
from services.console.stack.latches import read_latches
from services.console.stack.local_stack import EmbeddedStack, free_port
from shared.domain.errors import InvariantBroken
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.schemas.messages import KillCleared, KillDrilled
from shared.schemas.streams import KILL_RESUME, Stream

DECISIVE = ("risk-gate", "executor")


def until(holds: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"it never came to this: {what}"
        time.sleep(0.05)


@dataclass
class Running:
    stack: EmbeddedStack
    client: StackClient

    def reasons(self) -> dict[str, tuple[str, ...]]:
        return {
            latch.service.value: latch.reasons
            for latch in read_latches(self.client.redis)
            if latch.has_lease
        }

    def are_halted(self) -> bool:
        return all(self.reasons().get(name) for name in DECISIVE)

    def clear(self) -> None:
        """As an operator who looks until nothing new comes: a kill is in the log once a service."""
        self.stack.kill_file.unlink(missing_ok=True)
        resumer = Resumer(self.client)

        def is_clear() -> bool:
            outcome = resumer.clear(resumer.standing().last_id, by="test", why="over")
            return set(DECISIVE) <= set(outcome.running)

        until(is_clear, "trading again", 10.0)

    def as_user(self, name: str) -> RedisConnection:
        password = (self.stack.folder / "secrets" / name / "redis_password").read_text()
        where = Address.parse(self.stack.address.redis_url, username=name, password=password)
        return RedisConnection(where)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStack]:
    folder = tmp_path_factory.mktemp("stack")
    changes: dict[str, Any] = {"sim.timetable.pace_seconds": 0.2}
    with EmbeddedStack(folder, changes=changes, kill_file=folder / "kill/KILL_SWITCH") as stack:
        yield stack


@pytest.fixture
def running(stack: EmbeddedStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The stack as the environment of the command line names it; trading before and after."""
    address = stack.address
    monkeypatch.setenv("KOBE_REDIS_URL", address.redis_url)
    monkeypatch.setenv("KOBE_REDIS_PASSWORD_FILE", address.password_file)
    monkeypatch.setenv("KOBE_KILL_FILE", address.kill_file)
    running = Running(stack, StackClient(address))
    yield running
    running.clear()
    running.client.redis.close()


def kill_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = run(["kill", "because", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def halts(report: dict[str, Any]) -> dict[str, str]:
    return {each["service"]: each["halt"] for each in report["report"]["services"]}


def test_a_kill_is_confirmed_by_every_service_within_half_a_second(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = kill_json(capsys)
    assert (code, report["certain"]) == (0, True)
    assert set(halts(report).values()) == {"halted"}
    assert len(halts(report)) == 6
    assert running.are_halted()
    assert run(["status"]) == 1
    assert "Halted: killed: because" in capsys.readouterr().out


def test_a_resume_names_what_it_clears_and_the_chain_can_read_it(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["kill", "look here"]) == 0
    capsys.readouterr()
    assert run(["resume"]) == 64
    shown = capsys.readouterr()
    assert "look here" in shown.out
    seen = shown.err.split("--seen ")[1].split(".")[0]
    assert running.are_halted()
    assert run(["resume", "checked", "--seen", "99999999999999-0"]) == 64
    assert running.are_halted()
    assert run(["resume", "checked", "--seen", seen]) == 0
    assert "trade again" in capsys.readouterr().out
    assert not any(running.reasons().values())
    assert not running.stack.kill_file.exists()
    record = running.client.latest(Stream.CONTROL, KillCleared, 1)[0]
    assert isinstance(record.message, KillCleared)
    assert record.message.cleared_id == seen
    assert seen in record.message.kills
    assert record.envelope.signature
    run(["status"])
    assert "Halted" not in capsys.readouterr().out


def test_a_file_put_there_by_hand_must_be_removed_by_hand_and_then_resumed(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.stack.kill_file.parent.mkdir(exist_ok=True)
    running.stack.kill_file.touch()
    until(running.are_halted, "halted by the file", 2.0)
    seen = Resumer(running.client).standing().last_id
    assert run(["resume", "--seen", seen]) == 1
    assert "put there by hand" in capsys.readouterr().err
    assert run(["status"]) == 1
    assert "Halted: killed: kill file; kill file;" in capsys.readouterr().out
    running.stack.kill_file.unlink()
    time.sleep(0.5)
    assert running.are_halted()


@pytest.mark.parametrize("user", ["init", "console", "executor"])
def test_no_user_of_redis_can_disarm_a_kill_without_the_operators_key(
    running: Running, user: str
) -> None:
    with closing(running.as_user(user)) as redis:
        forged = ("HSET", KILL_RESUME, "record", "genesis", "cleared_id", "99999999999999-0")
        if user == "console":
            redis.one(*forged)
        else:
            with pytest.raises(InvariantBroken, match="permission"):
                redis.one(*forged)
    assert run(["kill", "after the forgery"]) == 0
    assert running.are_halted()


def test_services_that_are_down_come_up_halted_and_the_command_knows_it(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in DECISIVE:
        running.stack.processes[name].send_signal(signal.SIGTERM)
        running.stack.processes[name].wait(20)
    code, report = kill_json(capsys)
    assert (code, report["certain"]) == (0, True)
    assert {name: halts(report)[name] for name in DECISIVE} == dict.fromkeys(DECISIVE, "down")
    running.stack.kill_file.unlink()
    for name in DECISIVE:
        running.stack.start_service(name)
    running.stack.wait_ready(*DECISIVE)
    until(running.are_halted, "up and halted", 10.0)


def test_a_service_that_does_not_answer_is_named_and_the_exit_code_says_so(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    process = running.stack.processes["executor"]
    process.send_signal(signal.SIGSTOP)
    try:
        assert run(["kill", "is anybody there"]) == 1
    finally:
        process.send_signal(signal.SIGCONT)
    said = capsys.readouterr().out
    assert "executor: NOT CONFIRMED" in said
    assert "THE KILL IS NOT CONFIRMED" in said
    assert "Killed:" not in said
    until(running.are_halted, "halted when it wakes up", 5.0)


@contextmanager
def strangers(port: int, count: int) -> Iterator[None]:
    """Connections that say nothing, as many as the system lets us have."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", port))))
        yield


def test_a_kill_gets_through_a_server_out_of_connections(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    running.client.redis.close()
    with strangers(running.stack.redis_port, 950):
        code, report = kill_json(capsys)
    assert (code, report["certain"]) == (0, True), report


def test_without_redis_the_kill_file_is_what_holds_and_nothing_more_is_claimed(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOBE_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    assert run(["kill", "no server"]) == 69
    said = capsys.readouterr().out
    assert "THE KILL IS NOT CONFIRMED" in said
    assert str(running.stack.kill_file) in said.replace("\n", "")
    assert "Killed:" not in said
    until(running.are_halted, "halted by the file", 2.0)


def test_without_redis_and_without_a_place_for_the_file_both_are_said(
    running: Running,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KOBE_REDIS_URL", f"redis://127.0.0.1:{free_port()}")
    monkeypatch.setenv("KOBE_KILL_FILE", str(tmp_path / "file/KILL_SWITCH"))
    assert run(["kill", "no server"]) == 69
    assert "could not be written" in capsys.readouterr().out


def test_a_drill_proves_it_and_is_recorded(
    running: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(["kill", "--drill"])
    said = capsys.readouterr().out
    assert code == 0, said
    assert "The drill passed." in said
    record = running.client.latest(Stream.CONTROL, KillDrilled, 1)[0]
    assert isinstance(record.message, KillDrilled)
    assert record.message.passed
    assert set(record.message.confirmed) == set(running.reasons())
    assert max(record.message.confirmed.values()) <= 1000
    assert not any(running.reasons().values())
    run(["kill", "busy"])
    assert run(["kill", "--drill"]) == 1
    assert "halted already" in capsys.readouterr().err
