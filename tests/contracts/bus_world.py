"""One world for each implementation of the bus.

How to reach it, and how to disturb it behind the buses' backs.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from shared.runtime.bus.memory_bus import MemoryBus
from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import Bus, Entry, Step
from shared.runtime.bus.redis_bus import RedisBus
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import ManualClock
from shared.runtime.provisioning.streams import init_streams
from shared.schemas.streams import ServiceName, Stream

GATE, ENGINE, EXECUTOR = ServiceName.RISK_GATE, ServiceName.SIGNAL_ENGINE, ServiceName.EXECUTOR
LEASE = 0.4


@dataclass
class World:
    """One implementation with its server.

    How to reach it, and how to disturb it behind the buses' backs.
    """

    make: Callable[[ServiceName, str, float, int], Bus]
    hset: Callable[[str, str, str], None]
    delete: Callable[[str], None]
    trim: Callable[[str, str], object]
    wait: Callable[[float], None]
    buses: list[Bus] = field(default_factory=list)

    def bus(
        self,
        service: ServiceName = GATE,
        instance: str = "a",
        lease: float = 15.0,
        fence: int = 0,
    ) -> Bus:
        bus = self.make(service, instance, lease, fence)
        self.buses.append(bus)
        return bus

    def holder(self, service: ServiceName = GATE, instance: str = "a", lease: float = 15.0) -> Bus:
        bus = self.bus(service, instance, lease)
        assert bus.acquire() is not None
        return bus

    def say(self, stream: Stream, *texts: str) -> None:
        """As the stream's writer would."""
        writer = {
            Stream.SIGNALS: ENGINE,
            Stream.ORDERS: GATE,
            Stream.CONTROL: ServiceName.CONSOLE,
            Stream.SCHEDULE: ServiceName.SCHEDULER,
            Stream.EXECUTIONS: EXECUTOR,
        }[stream]
        speaker = self.holder(writer, "speaker")
        speaker.commit(
            Step(
                version=speaker.load().version, outputs=[(stream, {"text": text}) for text in texts]
            )
        )
        speaker.release()


def memory_world() -> World:
    clock = ManualClock(dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC))
    server = MemoryServer(clock)

    def delete(key: str) -> None:
        server.hashes.pop(key, None)
        server.streams.pop(key, None)

    return World(
        make=lambda service, instance, lease, fence: MemoryBus(
            server, service, instance, lease_seconds=lease, fence=fence
        ),
        hset=lambda key, name, text: server.hash(key).update({name: text}),
        delete=delete,
        trim=server.trim,
        wait=clock.advance,
    )


def redis_world(url: str, marker: Path) -> Iterator[World]:
    admin = RedisConnection(Address.parse(url))
    admin.one("FLUSHALL")
    init_streams(admin, marker)
    world = World(
        make=lambda service, instance, lease, fence: RedisBus(
            RedisConnection(Address.parse(url)),
            service,
            instance,
            lease_seconds=lease,
            fence=fence,
        ),
        hset=lambda key, name, text: admin.one("HSET", key, name, text),
        delete=lambda key: admin.one("DEL", key),
        trim=lambda key, before: admin.one("XTRIM", key, "MINID", before),
        wait=time.sleep,
    )
    yield world
    for bus in world.buses:
        assert isinstance(bus, RedisBus)
        bus.close()
    admin.close()


def texts(entries: list[Entry]) -> list[str]:
    return [entry.fields["text"] for entry in entries]


def read(bus: Bus, count: int = 10) -> list[Entry]:
    return bus.read(count=count, block_ms=1)


def all_of(bus: Bus, key: str) -> list[str]:
    return [fields.get("text", "") for _, fields in bus.stream_after(key, "0", 100)]
