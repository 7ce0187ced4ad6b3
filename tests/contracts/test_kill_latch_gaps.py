"""What a kill latch does when it could not listen.

Redis away, restarted, emptied; itself cut off.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.domain.errors import TransientError
from shared.runtime.bus.redis_connection import RedisConnection, pairs
from shared.runtime.kill.latch import KillLatch
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, ServiceName
from shared.schemas.values import Mode
from tests.contracts.kill_world import (
    EXECUTOR,
    GATE,
    durable,
    eventually,
    halted,
    new_latch,
    resume_all,
    started,
)
from tests.servers import Server, redis_binary, redis_server, valkey_binary


def test_while_redis_is_away_a_latch_is_halted_and_runs_again_when_it_is_back(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        server.kill()
        eventually(lambda: "no latch read for 500 ms" in latch.reasons())
        server.start()
        eventually(lambda: latch.reasons() == ())
        latch.stop()


def test_a_halt_while_redis_is_away_reaches_the_log_later_and_survives_a_restart(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        server.kill()
        latch.halt("drift")
        latch.stop()
        server.start()
        again = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        eventually(lambda: durable(again))
        with closing(server.connection()) as reader:
            newest = pairs(reader.one("XREVRANGE", KILL_LOG, "+", "-")[0][1])
            assert newest == {"by": "risk-gate", "why": "drift"}
        again.stop()


def test_a_cut_listener_alone_trusts_another_that_listened_throughout(tmp_path: Path) -> None:
    """Live: a kill could have been missed only if nobody else heard the channel meanwhile."""
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        witness = started(server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL_SWITCH")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        time.sleep(2.2)
        latch.stop()
        again = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        assert again.reasons() == ()
        witness.stop()
        again.stop()


def test_live_comes_up_halted_when_nobody_listened_and_paper_goes_on(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        paper = started(
            server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL_SWITCH", mode=Mode.PAPER
        )
        assert paper.reasons() == ()
        paper.stop()
        live = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(live))
        assert "nobody listened" in live.reasons()[0]
        resume_all(admin, live, Mode.LIVE)
        eventually(lambda: live.reasons() == ())
        live.stop()


def test_live_is_halted_after_the_server_was_restarted(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(latch))
        resume_all(admin, latch, Mode.LIVE)
        eventually(lambda: latch.reasons() == ())
        server.kill()
        server.start()
        eventually(lambda: durable(latch))
        latch.stop()


def test_after_flushall_everything_stays_halted_because_genesis_is_written_once(
    tmp_path: Path,
) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        assert init_streams(admin, tmp_path / "genesis")
        admin.one("FLUSHALL")
        assert not init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        assert latch.reasons() == ("kill keys absent",)
        latch.stop()


def test_a_latch_knows_where_it_stands_as_soon_as_it_is_started(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = new_latch(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        latch.start()
        reasons = latch.reasons()
        latch.stop()
        assert reasons == ()


@pytest.fixture(params=["redis-server", "valkey"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binary = valkey_binary() if request.param == "valkey" else redis_binary()
    with redis_server(binary) as server:
        yield server


@dataclass
class Pair:
    """Two latches of a paper stack on one server, with the genesis written."""

    gate: KillLatch
    executor: KillLatch
    admin: RedisConnection


@pytest.fixture
def pair(server: Server, tmp_path: Path) -> Iterator[Pair]:
    with closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        gate, executor = (
            started(server, name, tmp_path / name.value, tmp_path / "KILL_SWITCH")
            for name in (GATE, EXECUTOR)
        )
        yield Pair(gate, executor, admin)
        gate.stop()
        executor.stop()


def test_a_service_cut_off_while_the_server_lived_is_killed_and_so_are_all(pair: Pair) -> None:
    """An oversized payload, a full output buffer, CLIENT KILL: what was said meanwhile is lost."""
    pair.admin.one("CLIENT", "KILL", "TYPE", "pubsub")
    for latch in (pair.gate, pair.executor):
        eventually(lambda latch=latch: durable(latch))  # type: ignore[misc]
        assert any("cut off from the server" in reason for reason in latch.reasons())


def test_one_service_cut_off_trusts_the_other_that_listened_throughout(pair: Pair) -> None:
    time.sleep(2.2)
    listeners = str(pair.admin.one("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
    first = dict(word.partition("=")[::2] for word in listeners[0].split())
    pair.admin.one("CLIENT", "KILL", "ID", first["id"])
    time.sleep(1.0)
    assert pair.gate.reasons() == pair.executor.reasons() == ()


def stall(server: Server, seconds: float) -> None:
    """The process stands still, as for a slow disk; its connections stay."""
    os.kill(server.pid, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(server.pid, signal.SIGCONT)


def test_a_server_that_stalls_for_seconds_is_no_gap(pair: Pair, server: Server) -> None:
    stall(server, 2.5)
    eventually(lambda: pair.gate.reasons() == pair.executor.reasons() == ())
    time.sleep(0.5)
    assert pair.gate.reasons() == pair.executor.reasons() == ()


def test_a_kill_published_while_the_server_stalled_is_heard(pair: Pair, server: Server) -> None:
    with closing(socket.create_connection(("127.0.0.1", server.port))) as killer:
        os.kill(server.pid, signal.SIGSTOP)
        killer.sendall(b"PUBLISH kobe:kill now\r\n")
        time.sleep(2.5)
        os.kill(server.pid, signal.SIGCONT)
        eventually(lambda: "killed: now" in pair.gate.reasons())
        eventually(lambda: durable(pair.gate) and durable(pair.executor))


def test_an_oversized_payload_fails_at_its_sender_and_cuts_off_nobody(
    pair: Pair, server: Server
) -> None:
    with closing(server.connection()) as killer, pytest.raises(TransientError):
        killer.one("PUBLISH", KILL_CHANNEL, "x" * (2 << 20))
    time.sleep(0.3)
    assert pair.gate.reasons() == pair.executor.reasons() == ()
    with closing(server.connection()) as killer:
        assert killer.one("PUBLISH", KILL_CHANNEL, "x" * 1_000_000) == 2
    eventually(lambda: durable(pair.gate) and durable(pair.executor))


def test_a_flood_of_kills_fills_no_log_and_is_cleared_by_one_resume(pair: Pair) -> None:
    began, number = time.monotonic(), 0
    while time.monotonic() - began < 3.0:
        number += 1
        pair.admin.one("PUBLISH", KILL_CHANNEL, f"kill {number}")
    assert number > 1_000
    time.sleep(1.5)
    assert halted(pair.gate)
    assert pair.admin.one("XLEN", KILL_LOG) < 40
    resume_all(pair.admin, pair.gate)
    eventually(lambda: pair.gate.reasons() == pair.executor.reasons() == ())
    time.sleep(1.0)
    assert pair.gate.reasons() == pair.executor.reasons() == ()


def test_a_kill_that_waits_for_the_log_is_not_cleared_by_a_resume_of_the_one_before(
    pair: Pair,
) -> None:
    for number in range(6):
        pair.gate.halt(f"drift {number}")
    resume_all(pair.admin, pair.gate)
    for _ in range(10):
        assert halted(pair.gate)
        pair.gate.refresh()
    eventually(lambda: durable(pair.gate) and durable(pair.executor))
    assert halted(pair.gate)


def test_a_live_stack_that_starts_one_by_one_needs_one_resume(
    server: Server, tmp_path: Path
) -> None:
    with closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        names = (GATE, EXECUTOR, ServiceName.SCHEDULER)
        first = started(server, GATE, tmp_path / "gate", tmp_path / "KILL", mode=Mode.LIVE)
        eventually(lambda: durable(first))
        resume_all(admin, first, Mode.LIVE)
        eventually(lambda: first.reasons() == ())
        others = [
            started(server, name, tmp_path / name.value, tmp_path / "KILL", mode=Mode.LIVE)
            for name in names[1:]
        ]
        assert [latch.reasons() for latch in (first, *others)] == [(), (), ()]
        for latch in (first, *others):
            latch.stop()


def test_a_live_service_does_not_trust_a_gap_listener_that_is_gone(
    server: Server, tmp_path: Path
) -> None:
    with closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        first = started(server, GATE, tmp_path / "gate", tmp_path / "KILL", mode=Mode.LIVE)
        eventually(lambda: durable(first))
        resume_all(admin, first, Mode.LIVE)
        first.stop()
        second = started(server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL", mode=Mode.LIVE)
        assert "nobody listened" in second.reasons()[0]
        second.stop()


def test_a_kill_on_a_server_without_memory_holds_locally_and_reaches_the_log_later(
    pair: Pair, server: Server, tmp_path: Path
) -> None:
    pair.admin.one("CONFIG", "SET", "maxmemory", "1")
    pair.admin.one("PUBLISH", KILL_CHANNEL, "no room")
    for latch in (pair.gate, pair.executor):
        eventually(lambda latch=latch: "killed: no room" in latch.reasons())  # type: ignore[misc]
    assert pair.admin.one("XLEN", KILL_LOG) == 1
    eventually(lambda: (tmp_path / GATE.value / "killed.json").exists())
    again = new_latch(server, GATE, tmp_path / GATE.value, tmp_path / "KILL_SWITCH")
    again.refresh()
    assert "killed: no room" in again.reasons()
    again.stop()
    pair.admin.one("CONFIG", "SET", "maxmemory", "0")
    eventually(lambda: durable(pair.gate) and durable(pair.executor))
    assert "killed: no room" in pair.gate.reasons()


def test_after_flushall_a_new_kill_and_a_signed_resume_are_the_way_back(pair: Pair) -> None:
    pair.gate.halt("before")
    eventually(lambda: durable(pair.executor) and durable(pair.gate))
    resume_all(pair.admin, pair.gate)
    eventually(lambda: pair.gate.reasons() == pair.executor.reasons() == ())
    pair.admin.one("FLUSHALL")
    for latch in (pair.gate, pair.executor):
        eventually(lambda latch=latch: "kill keys absent" in latch.reasons())  # type: ignore[misc]
    pair.admin.one("PUBLISH", KILL_CHANNEL, "redis was emptied")
    eventually(lambda: pair.admin.one("EXISTS", KILL_LOG) == 1)
    time.sleep(0.5)
    resume_all(pair.admin, pair.gate)
    eventually(lambda: pair.gate.reasons() == pair.executor.reasons() == ())


def test_a_slow_server_halts_nobody_for_good(pair: Pair, server: Server) -> None:
    for _ in range(4):
        stall(server, 0.5)
        time.sleep(0.1)
    eventually(lambda: pair.gate.reasons() == pair.executor.reasons() == ())
    time.sleep(0.3)
    assert pair.gate.reasons() == pair.executor.reasons() == ()
