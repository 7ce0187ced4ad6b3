"""One world for each kind of kill latch.

In its own thread over a server, or in one process without one.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import Fields
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.bus.redis_connection import Address, RedisConnection, pairs
from shared.runtime.clock import ManualClock
from shared.runtime.kill.latch import KillLatch
from shared.runtime.kill.line import RedisKillLine
from shared.runtime.kill.memory_latch import MemoryLatch
from shared.runtime.kill.protocol import Latch
from shared.runtime.kill.resume import resume, resume_in_memory
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, KILL_RESUME, ServiceName, latch_key
from shared.schemas.values import Mode
from tests.operator_keys import Operator
from tests.servers import Server

OPERATOR = Operator(Mode.PAPER, "paper")
CHECK = OPERATOR.check()
GATE, EXECUTOR = ServiceName.RISK_GATE, ServiceName.EXECUTOR


@dataclass
class World:
    """Latches on one server.

    Each service keeps its own folder, so that making one anew is its restart.
    """

    make: Callable[[ServiceName, Path, Path], Latch]
    end: Callable[[Latch], None]
    publish: Callable[[str], object]
    delete: Callable[[str], object]
    resume_as: Callable[[Operator, str], None]
    write_record: Callable[[str], object]
    report: Callable[[ServiceName], dict[str, str]]
    append: Callable[[str, str], object]
    log: Callable[[], list[tuple[str, Fields]]]
    folder: Path
    latches: dict[ServiceName, Latch] = field(default_factory=dict)

    def resume(self, seen: str) -> None:
        self.resume_as(OPERATOR, seen)

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

    def append(entry_id: str, why: str) -> None:
        log = server.stream(KILL_LOG)
        log.last_id = entry_id
        log.entries.append((entry_id, {"why": why}))

    yield World(
        make=lambda name, state, file: MemoryLatch(
            server, name, check=CHECK, state_dir=state, kill_file=file
        ),
        end=lambda latch: None,
        publish=server.publish_kill,
        delete=delete,
        resume_as=lambda operator, seen: resume_in_memory(server, *operator.resume(seen), CHECK),
        write_record=lambda record: server.hash(KILL_RESUME).update(record=record),
        append=append,
        report=lambda name: dict(server.hash(latch_key(name, "one"))),
        log=lambda: list(reader.stream_after(KILL_LOG, "0", 100)),
        folder=folder,
    )


def new_latch(
    server: Server, name: ServiceName, state: Path, file: Path, mode: Mode = Mode.PAPER
) -> KillLatch:
    return KillLatch(
        RedisKillLine(Address.parse(server.url), name, "one"),
        name,
        check=OPERATOR.check(mode),
        state_dir=state,
        kill_file=file,
    )


def started(
    server: Server, name: ServiceName, state: Path, file: Path, mode: Mode = Mode.PAPER
) -> KillLatch:
    latch = new_latch(server, name, state, file, mode)
    latch.start()
    eventually(
        lambda: (
            not set(latch.reasons())
            & {"not listening to the kill channel", "no latch read for 500 ms"}
        )
    )
    return latch


def resume_all(admin: RedisConnection, latch: Latch, mode: Mode = Mode.PAPER) -> None:
    """The operator of that mode clears everything the latch has read."""
    seen = latch.view().last_id or ""
    resume(admin, *OPERATOR.resume(seen, mode=mode), OPERATOR.check(mode))


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
        publish=lambda payload: admin.one(
            "PUBLISH", KILL_CHANNEL, payload.encode("utf-8", "surrogateescape")
        ),
        delete=lambda key: admin.one("DEL", key),
        resume_as=lambda operator, seen: resume(admin, *operator.resume(seen), CHECK),
        write_record=lambda record: admin.one("HSET", KILL_RESUME, "record", record),
        append=lambda entry_id, why: admin.one("XADD", KILL_LOG, entry_id, "why", why),
        report=lambda name: pairs(admin.one("HGETALL", latch_key(name, "one"))),
        log=lambda: list(reader.stream_after(KILL_LOG, "0", 100)),
        folder=folder,
    )
    yield world
    for latch in world.latches.values():
        stop(latch)
    admin.close()


def eventually(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came to hold"
        time.sleep(0.005)


def durable(latch: Latch) -> bool:
    latch.refresh()
    return CHECK.reason(latch.view()) is not None


def halted(latch: Latch) -> bool:
    return bool(latch.reasons())
