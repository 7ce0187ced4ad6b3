"""A Redis server as we use it, in one process: streams with groups, hashes, leases, one channel.

Made by the in-process replay and by tests; MemoryBus and the kill latch work on it. Deterministic:
ids and expiry come from the clock it is given. It keeps nothing on disk.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from shared.runtime.bus.protocol import Fields, KillView, entry_order
from shared.runtime.clock import Clock
from shared.schemas.streams import (
    GENESIS,
    GENESIS_ID,
    KILL_LOG,
    KILL_RESUME,
    READS,
    ServiceName,
    lease_key,
)


@dataclass
class Pending:
    consumer: str
    at: float
    deliveries: int = 0


@dataclass
class Group:
    """`position` counts the entries ever delivered; `pending` holds those not acknowledged."""

    position: int = 0
    pending: dict[str, Pending] = field(default_factory=dict)


@dataclass
class MemoryStream:
    """`dropped` entries were trimmed away before the first that is still here."""

    entries: list[tuple[str, Fields]] = field(default_factory=list)
    dropped: int = 0
    last_id: str = "0-0"
    groups: dict[str, Group] = field(default_factory=dict)

    def after(self, entry_id: str) -> int:
        """Index of the first entry with a greater id."""
        order, low, high = entry_order(entry_id), 0, len(self.entries)
        while low < high:
            middle = (low + high) // 2
            if entry_order(self.entries[middle][0]) <= order:
                low = middle + 1
            else:
                high = middle
        return low

    def get(self, entry_id: str) -> Fields | None:
        index = self.after(entry_id) - 1
        if index >= 0 and self.entries[index][0] == entry_id:
            return self.entries[index][1]
        return None

    def fresh(self, group: Group, count: int) -> Iterator[tuple[str, Fields]]:
        start = max(0, group.position - self.dropped)
        group.position = min(self.dropped + len(self.entries), self.dropped + start + count)
        yield from self.entries[start : start + count]


class MemoryServer:
    """Its lock makes every bus's call atomic; hold it for a whole step."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.streams: dict[str, MemoryStream] = {}
        self.hashes: dict[str, dict[str, str]] = {}
        self._lease_ends: dict[ServiceName, float] = {}
        self._subscribers: list[Callable[[str], None]] = []
        for service, streams in READS.items():
            for stream in streams:
                self.stream(stream.key).groups[service.value] = Group()
        log = self.stream(KILL_LOG)
        log.last_id = GENESIS_ID
        log.entries.append((GENESIS_ID, {"by": "init", "why": GENESIS}))
        self.hash(KILL_RESUME)["record"] = GENESIS

    def stream(self, key: str) -> MemoryStream:
        return self.streams.setdefault(key, MemoryStream())

    def hash(self, key: str) -> dict[str, str]:
        return self.hashes.setdefault(key, {})

    def append(self, key: str, fields: Fields) -> str:
        """Ids are the clock's milliseconds, or the last one plus one while it stands still."""
        with self.lock:
            stream = self.stream(key)
            milliseconds = int(self.clock.now().timestamp() * 1000)
            last, sequence = entry_order(stream.last_id)
            stream.last_id = (
                f"{milliseconds}-0" if milliseconds > last else f"{last}-{sequence + 1}"
            )
            stream.entries.append((stream.last_id, dict(fields)))
            return stream.last_id

    def lease(self, service: ServiceName) -> dict[str, str]:
        """{instance, fence} of its holder; empty when it has run out."""
        if self._lease_ends.get(service, 0.0) <= self.clock.monotonic():
            self.hashes.pop(lease_key(service), None)
        return self.hash(lease_key(service))

    def hold_lease(self, service: ServiceName, seconds: float) -> None:
        self._lease_ends[service] = self.clock.monotonic() + seconds

    def kill_view(self) -> KillView:
        log = self.streams.get(KILL_LOG)
        return KillView(
            log.last_id if log else None, self.hashes.get(KILL_RESUME, {}).get("record")
        )

    def subscribe(self, hear: Callable[[str], None]) -> None:
        self._subscribers.append(hear)

    def publish_kill(self, payload: str) -> int:
        for hear in self._subscribers:
            hear(payload)
        return len(self._subscribers)

    def trim(self, key: str, before: str) -> int:
        stream = self.stream(key)
        dropped = stream.after(before)
        if dropped and stream.entries[dropped - 1][0] == before:
            dropped -= 1
        del stream.entries[:dropped]
        stream.dropped += dropped
        return dropped
