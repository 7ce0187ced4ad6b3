"""The whole system as processes.

What a new user meets with `make demo`, and how it is stopped and survives.
"""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from services.auditor.evidence.verify import verify_folder
from services.console.cli.app import run
from services.console.demo import DemoOptions, StreamWatcher, run_demo
from services.console.kill_switch.order import order_kill
from services.console.kill_switch.resumption import Resumer
from services.console.stack.client import StackClient
from services.console.stack.local_stack import EmbeddedStack
from services.console.stack.sim_broker_client import SimBrokerClient, count_duplicates
from services.console.views.positions import positions, quantities
from shared.domain.market.sessions import sessions_between
from shared.schemas.messages import OrderFilled
from shared.schemas.streams import Stream
from shared.schemas.values import Purpose
from tests.requirements import Requirement, require

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def until(holds: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.1)


def test_a_demo_is_sound_and_says_what_happened(tmp_path: Path) -> None:
    seen: list[int] = []
    result = run_demo(
        DemoOptions(sessions=40, keep=tmp_path / "kept"),
        on_start=lambda _: None,
        on_step=lambda _: None,
        on_progress=lambda summary: seen.append(summary.sessions),
    )
    assert result.sound
    assert result.sessions == 40 == seen[-1]
    assert result.approved >= 1
    assert result.fills >= result.approved
    assert result.signals >= result.approved
    assert verify_folder(tmp_path / "kept" / "audit").height == result.chain.height


def write_bars(file: Path, *, bad: bool) -> None:
    """A year of one made-up symbol; with a bar of each impossible kind in it."""
    rows = ["date,open,high,low,close,volume"]
    for number, day in enumerate(sessions_between(dt.date(2023, 1, 3), dt.date(2024, 1, 12))):
        price = 50 + number % 7
        rows.append(f"{day},{price},{price + 1},{price - 1},{price},1000")
    if bad:
        rows[100] = rows[100].rsplit(",", 2)[0] + ",nan,1000"
        rows[110] = rows[110].replace(",5", ",-5", 1)
        rows.append(rows[-1])
    file.write_text("\n".join(rows) + "\n")


def test_impossible_bars_are_refused_counted_and_shown(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    write_bars(tmp_path / "bars" / "MADE.csv", bad=True)
    options = DemoOptions(sessions=5, bars=tmp_path / "bars")
    result = run_demo(
        options, on_start=lambda _: None, on_step=lambda _: None, on_progress=lambda _: None
    )
    assert result.sound
    assert sum(result.refused_bars.values()) == 3
    assert set(result.refused_bars) >= {"not_a_number", "duplicate"}


def test_a_broken_file_of_bars_ends_the_demo_with_a_sentence(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "bars.parquet").write_bytes(b"PAR1 this is no parquet")
    assert run(["demo", "--sessions", "3", "--bars", str(tmp_path / "bars.parquet")]) == 1
    said = capsys.readouterr().err
    assert "bars.parquet: it is damaged or cut short" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_said_so(tmp_path: Path, capsys: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert run(["demo", "--sessions", "3", "--redis-port", str(taken.getsockname()[1])]) == 1
    assert "is taken" in capsys.readouterr().err


class Running:
    """A paced stack, and what one asks of it."""

    def __init__(self, stack: EmbeddedStack) -> None:
        self.stack = stack
        self.operations = StackClient(stack.address)
        self.broker = SimBrokerClient(stack.address.broker_url)
        self.watch = StreamWatcher(self.operations)

    def entries(self) -> int:
        fills = self.operations.after(Stream.EXECUTIONS, count=100_000)
        return sum(
            isinstance(h.message, OrderFilled) and h.message.purpose is Purpose.ENTRY for h in fills
        )

    def sessions(self) -> int:
        self.watch.catch_up()
        return self.watch.summary.sessions

    def no_entries_for(self, sessions: int) -> None:
        """Sessions go by, and nothing is opened."""
        self.settled()
        before, start = self.entries(), self.sessions()
        until(lambda: self.sessions() >= start + sessions, f"{sessions} more sessions")
        assert self.entries() == before

    def settled(self) -> None:
        start = self.sessions()
        until(lambda: self.sessions() > start, "one more session")

    def clear(self) -> None:
        resumer = Resumer(self.operations)

        def is_clear() -> bool:
            outcome = resumer.clear(resumer.standing().last_id, by="test", why="over")
            return {"risk-gate", "executor"} <= set(outcome.running)

        until(is_clear, "running again")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("stack")
    changes: dict[str, Any] = {
        "sim.timetable.sessions": 2_000,
        "sim.timetable.pace_seconds": 0.0,
        "sim.timetable.loop": False,
    }
    with EmbeddedStack(folder, changes=changes, kill_file=folder / "KILL_SWITCH") as stack:
        running = Running(stack)
        until(lambda: running.entries() >= 2, "two entries")
        yield running


def test_a_publish_from_redis_cli_stops_new_exposure_until_resume(running: Running) -> None:
    require(Requirement.REDIS_CLI)
    cli = str(shutil.which("redis-cli"))
    url = f"redis://kill:kill@127.0.0.1:{running.stack.redis_port}"
    said = subprocess.run(
        [cli, "-u", url, "PUBLISH", "kobe:kill", "why"], capture_output=True, text=True, check=True
    )
    assert int(said.stdout) >= 6
    running.no_entries_for(40)
    assert all(position.protected for position in positions(running.operations))
    running.clear()
    before = running.entries()
    until(lambda: running.entries() > before, "entries again after resume")


def test_a_touched_file_stops_new_exposure(running: Running) -> None:
    running.stack.kill_file.touch()
    running.no_entries_for(20)
    running.stack.kill_file.unlink()
    running.clear()


def test_the_console_kills_and_the_kill_outlives_every_restart(running: Running) -> None:
    report = order_kill(running.operations.address, "a drill")
    assert report.is_certain
    assert (report.listeners or 0) >= 6
    running.settled()
    for name in ("risk-gate", "executor"):
        running.stack.processes[name].kill()
        running.stack.processes[name].wait()
        running.stack.start_service(name)
    running.no_entries_for(20)
    assert running.operations.last_kill()[1]["why"]
    running.clear()


def test_a_killed_executor_comes_back_without_a_doubled_order(running: Running) -> None:
    for _ in range(4):
        before = running.entries()
        running.stack.processes["executor"].kill()
        running.stack.processes["executor"].wait()
        running.stack.start_service("executor")
        until(lambda before=before: running.entries() > before, "entries after the restart")  # type: ignore[misc]
    running.settled()
    running.watch.catch_up()
    assert count_duplicates(running.broker.orders(), running.watch.sent) == 0
    assert not Resumer(running.operations).standing().is_halted


def test_the_commands_speak_to_it(
    running: Running, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    address = running.stack.address
    monkeypatch.setenv("KOBE_REDIS_URL", address.redis_url)
    monkeypatch.setenv("KOBE_REDIS_PASSWORD_FILE", address.password_file)
    monkeypatch.setenv("KOBE_LOG_DIR", address.log_dir)
    monkeypatch.setenv("KOBE_KILL_FILE", address.kill_file)
    monkeypatch.setenv("KOBE_AUDIT_DIR", address.audit_dir)
    for command in (["status"], ["orders", "--recent", "5"], ["positions"], ["signals"], ["logs"]):
        for arguments in (command, [*command, "--json"]):
            assert run(arguments) == 0
            assert capsys.readouterr().out.strip()
    assert run(["reconcile"]) == 0
    assert run(["kill", "by command"]) == 0
    seen = Resumer(running.operations).standing().last_id
    assert run(["resume", "by command", "--seen", seen]) == 0


def test_our_positions_are_the_brokers_when_all_is_quiet(running: Running) -> None:
    running.stack.processes["scheduler"].terminate()
    running.stack.processes["scheduler"].wait()
    until(lambda: not running.watch.catch_up(), "quiet")
    time.sleep(1)
    assert quantities(running.operations) == running.broker.positions()
