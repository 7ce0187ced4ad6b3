"""What every kill latch promises: over Redis and Valkey in its own thread, and in one process without one."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pytest

from shared.domain.errors import UserError
from shared.runtime.bus import Fields, KillView
from shared.runtime.clock import ManualClock
from shared.runtime.kill_latch import KillLatch
from shared.runtime.kill_line import RedisKillLine
from shared.runtime.kill_resume import resume, resume_in_memory
from shared.runtime.memory_bus import MemoryBus
from shared.runtime.memory_latch import MemoryLatch
from shared.runtime.memory_server import MemoryServer
from shared.runtime.provision_streams import init_streams
from shared.runtime.redis_bus import RedisBus
from shared.runtime.redis_connection import Address
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, KILL_RESUME, ServiceName
from shared.schemas.values import Mode
from tests.servers import Server, redis_server, valkey_binary

GATE, EXECUTOR = ServiceName.RISK_GATE, ServiceName.EXECUTOR


class Latch(Protocol):
    def reasons(self) -> tuple[str, ...]: ...
    def view(self) -> KillView: ...
    def halt(self, why: str) -> None: ...
    def refresh(self) -> None: ...


@dataclass
class World:
    """Latches on one server; each service keeps its own folder, so that making one anew is its restart."""

    make: Callable[[ServiceName, Path, Path], Latch]
    end: Callable[[Latch], None]
    publish: Callable[[str], object]
    delete: Callable[[str], object]
    resume: Callable[[str], None]
    log: Callable[[], list[tuple[str, Fields]]]
    folder: Path
    latches: dict[ServiceName, Latch] = field(default_factory=dict)

    @property
    def kill_file(self) -> Path:
        return self.folder / "KILL_SWITCH"

    def latch(self, name: ServiceName = GATE) -> Latch:
        """A running latch, or the restart of the one there was."""
        if name in self.latches:
            self.end(self.latches[name])
        latch = self.latches[name] = self.make(name, self.folder / name.value, self.kill_file)
        return latch


def memory_world(folder: Path) -> Iterator[World]:
    server = MemoryServer(ManualClock(dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC)))
    reader = MemoryBus(server, ServiceName.AUDITOR, "reader")

    def delete(key: str) -> None:
        server.hashes.pop(key, None)
        server.streams.pop(key, None)

    yield World(
        make=lambda name, state, file: MemoryLatch(server, name, state_dir=state, kill_file=file),
        end=lambda latch: None,
        publish=server.publish_kill,
        delete=delete,
        resume=lambda seen: resume_in_memory(server, seen, by="operator", why="checked"),
        log=lambda: list(reader.stream_after(KILL_LOG, "0", 100)),
        folder=folder,
    )


def started(server: Server, name: ServiceName, state: Path, file: Path, mode: Mode = Mode.PAPER) -> KillLatch:
    latch = KillLatch(RedisKillLine(Address.parse(server.url)), name, mode=mode, state_dir=state, kill_file=file)
    latch.start()
    eventually(lambda: not set(latch.reasons()) & {"not listening to the kill channel", "no latch read for 500 ms"})
    return latch


def stop(latch: Latch) -> None:
    assert isinstance(latch, KillLatch)
    latch.stop()


def redis_world(server: Server, folder: Path) -> Iterator[World]:
    admin = server.connection()
    admin.one("FLUSHALL")
    init_streams(admin, folder / "genesis")
    reader = RedisBus(admin, ServiceName.AUDITOR, "reader")
    world = World(
        make=lambda name, state, file: started(server, name, state, file),
        end=stop,
        publish=lambda payload: admin.one("PUBLISH", KILL_CHANNEL, payload.encode("utf-8", "surrogateescape")),
        delete=lambda key: admin.one("DEL", key),
        resume=lambda seen: resume(admin, seen, by="operator", why="checked"),
        log=lambda: list(reader.stream_after(KILL_LOG, "0", 100)),
        folder=folder,
    )
    yield world
    for latch in world.latches.values():
        stop(latch)
    admin.close()


@pytest.fixture(scope="module")
def servers() -> Iterator[Callable[[str], Server]]:
    running: dict[str, Server] = {}
    with ExitStack() as stack:

        def server(kind: str) -> Server:
            if kind not in running:
                running[kind] = stack.enter_context(redis_server(valkey_binary() if kind == "valkey" else None))
            return running[kind]

        yield server


@pytest.fixture(params=["memory", "redis-server", "valkey"])
def world(request: pytest.FixtureRequest, servers: Callable[[str], Server], tmp_path: Path) -> Iterator[World]:
    yield from memory_world(tmp_path) if request.param == "memory" else redis_world(servers(request.param), tmp_path)


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.005)


def durable(latch: Latch) -> bool:
    latch.refresh()
    return latch.view().halted


def halted(latch: Latch) -> bool:
    return bool(latch.reasons())


def test_a_stack_that_was_just_made_runs(world: World) -> None:
    latch = world.latch()
    assert latch.reasons() == ()
    assert not latch.view().halted


def test_a_published_kill_halts_and_stands_in_the_log(world: World) -> None:
    latch = world.latch()
    world.publish("fire in the hall")
    eventually(lambda: latch.reasons() == ("killed: fire in the hall",), seconds=1.0)
    eventually(lambda: durable(latch))
    entries = world.log()
    assert entries[-1][1] == {"by": "risk-gate", "why": "fire in the hall"}


def test_every_listening_service_halts_and_logs(world: World) -> None:
    latches = [world.latch(GATE), world.latch(EXECUTOR)]
    world.publish("stop")
    for latch in latches:
        eventually(lambda latch=latch: halted(latch))  # type: ignore[misc]
    eventually(lambda: {fields["by"] for _, fields in world.log()} == {"init", "risk-gate", "executor"})


PAYLOADS = {
    "empty": "",
    "spaces and lines": " \n\r\x00\t",
    "binary": "\udcff\udcfe\x00\udc80",
    "a word that sounds like resume": '{"type":"KillCleared","cleared_id":"9999999999999-0","resume":true}',
    "five megabytes": "x" * 5_000_000,
    "markup": "<script>alert(1)</script>",
}


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_any_payload_is_a_kill(world: World, payload: str) -> None:
    latch = world.latch()
    world.publish(payload)
    eventually(lambda: halted(latch) and durable(latch))
    why = world.log()[-1][1]["why"]
    assert 0 < len(why) <= 200
    assert why.isprintable()


def test_a_flood_of_kills_is_one_entry_a_look_not_one_each(world: World) -> None:
    latch = world.latch()
    for _ in range(500):
        world.publish("stop")
    eventually(lambda: halted(latch) and durable(latch))
    assert len(world.log()) < 60


def test_a_killed_service_restarts_killed(world: World) -> None:
    first = world.latch()
    world.publish("stop")
    eventually(lambda: durable(first))
    assert world.latch().reasons() == ("killed: stop",)


def test_a_service_that_was_down_during_the_kill_comes_up_halted(world: World) -> None:
    listener = world.latch(EXECUTOR)
    world.publish("stop")
    eventually(lambda: durable(listener))
    assert world.latch(GATE).reasons() == ("killed: stop",)


def test_a_resume_clears_what_its_author_saw(world: World) -> None:
    latch = world.latch()
    latch.halt("drift")
    eventually(lambda: durable(latch))
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ())
    assert world.latch().reasons() == ()


def test_a_resume_does_not_clear_a_kill_that_came_after_its_author_looked(world: World) -> None:
    latch = world.latch()
    latch.halt("first")
    latch.refresh()
    seen = world.log()[-1][0]
    latch.halt("second")
    world.resume(seen)
    latch.refresh()
    assert latch.reasons() == ("killed: second",)
    assert durable(latch)


def test_an_older_resume_does_not_undo_a_newer_one(world: World) -> None:
    latch = world.latch()
    latch.halt("first")
    older = world.log()[-1][0]
    latch.halt("second")
    world.resume(world.log()[-1][0])
    world.resume(older)
    eventually(lambda: latch.reasons() == ())


def test_nobody_can_clear_a_kill_that_has_not_happened(world: World) -> None:
    latch = world.latch()
    with pytest.raises(UserError, match="cannot have been seen"):
        world.resume("9999999999999-0")
    with pytest.raises(UserError, match="not the id"):
        world.resume("tomorrow")
    latch.halt("stop")
    assert halted(latch)


@pytest.mark.parametrize("key", [KILL_LOG, KILL_RESUME])
def test_without_the_kill_keys_everything_is_halted_and_cannot_be_resumed(world: World, key: str) -> None:
    latch = world.latch()
    world.delete(key)
    eventually(lambda: "kill keys absent" in latch.reasons())
    with pytest.raises(UserError, match="halted"):
        world.resume("1-0")


def test_a_touched_file_halts_at_once_and_stands_in_the_log(world: World) -> None:
    latch = world.latch()
    world.kill_file.touch()
    assert "kill file" in latch.reasons()
    eventually(lambda: durable(latch))
    assert world.log()[-1][1]["why"] == "kill file"


def test_a_kill_file_halts_until_it_is_removed_whatever_is_resumed(world: World) -> None:
    latch = world.latch()
    world.kill_file.touch()
    eventually(lambda: durable(latch))
    world.resume(world.log()[-1][0])
    eventually(lambda: latch.reasons() == ("kill file",))
    world.kill_file.unlink()
    assert latch.reasons() == ()


def test_an_unreadable_flag_of_an_earlier_life_halts(world: World) -> None:
    folder = world.folder / GATE.value
    folder.mkdir()
    (folder / "killed.json").write_bytes(b'{"id"')
    latch = world.latch()
    assert halted(latch)
    eventually(lambda: durable(latch))


# --- Redis away (servers only) ----------------------------------------------------------------------------


def test_while_redis_is_away_a_latch_is_halted_and_runs_again_when_it_is_back(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        server.kill()
        eventually(lambda: "no latch read for 500 ms" in latch.reasons())
        server.start()
        eventually(lambda: latch.reasons() == ())
        latch.stop()


def test_a_halt_while_redis_is_away_reaches_the_log_later_and_survives_a_restart(tmp_path: Path) -> None:
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
            assert reader.one("XREVRANGE", KILL_LOG, "+", "-")[0][1] == ["by", "risk-gate", "why", "drift"]
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
        paper = started(server, EXECUTOR, tmp_path / "executor", tmp_path / "KILL_SWITCH", mode=Mode.PAPER)
        assert paper.reasons() == ()
        paper.stop()
        live = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(live))
        assert "nobody listened" in live.reasons()[0]
        resume(admin, str(live.view().last_id), by="operator", why="looked")
        eventually(lambda: live.reasons() == ())
        live.stop()


def test_live_is_halted_after_the_server_was_restarted(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH", mode=Mode.LIVE)
        eventually(lambda: durable(latch))
        resume(admin, str(latch.view().last_id), by="operator", why="first start")
        eventually(lambda: latch.reasons() == ())
        server.kill()
        server.start()
        eventually(lambda: durable(latch))
        latch.stop()


def test_after_flushall_everything_stays_halted_because_genesis_is_written_once(tmp_path: Path) -> None:
    with redis_server() as server, closing(server.connection()) as admin:
        assert init_streams(admin, tmp_path / "genesis")
        admin.one("FLUSHALL")
        assert not init_streams(admin, tmp_path / "genesis")
        latch = started(server, GATE, tmp_path / "gate", tmp_path / "KILL_SWITCH")
        assert latch.reasons() == ("kill keys absent",)
        latch.stop()
