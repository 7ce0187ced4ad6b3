"""MemoryBus: the bus inside one process, for replay and tests; it keeps every promise of RedisBus.

It never waits: a read that finds nothing returns at once, whatever `block_ms` says, for nothing can
come meanwhile.
"""

from collections.abc import Iterator

from shared.runtime.bus.dead_letter import dead_fields
from shared.runtime.bus.memory_server import Group, MemoryServer, MemoryStream, Pending
from shared.runtime.bus.protocol import (
    Conflict,
    Entry,
    Fenced,
    Fields,
    KillView,
    StateRecord,
    Step,
    entry_order,
)
from shared.runtime.clock import Clock
from shared.schemas.streams import DEAD, KILL_LOG, READS, ServiceName, Stream, lease_key, state_key

LEASE_SECONDS = 15.0
RESERVED = ("version", "fence")


class MemoryBus:
    """Implements bus.Bus."""

    def __init__(
        self,
        server: MemoryServer,
        service: ServiceName,
        instance: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        clock: Clock | None = None,
        fence: int = 0,
    ) -> None:
        """`fence` is that of the lease, where another bus of this process has taken it."""
        self._server, self._service, self._instance = server, service, instance
        self._seconds, self._clock = lease_seconds, clock or server.clock
        self._state = state_key(service)
        self._fence = fence
        self._until = 0.0
        self._held: dict[tuple[Stream, str], Entry] = {}
        self._claim_idle, self._recovering = 0.0, True

    def acquire(self) -> StateRecord | None:
        with self._server.lock:
            holder = self._server.lease(self._service)
            if holder and holder["instance"] != self._instance:
                return None
            self._fence = self.load().fence + 1
            self._server.hash(self._state)["fence"] = str(self._fence)
            holder.update(instance=self._instance, fence=str(self._fence))
            self._prolong()
            self._held = {
                key: entry for key, entry in self._held.items() if self._still_mine(entry)
            }
            self._claim_idle, self._recovering = 0.0, True
            return self.load()

    def _still_mine(self, entry: Entry) -> bool:
        pending = (
            self._server.stream(entry.stream.key)
            .groups[self._service.value]
            .pending.get(entry.entry_id)
        )
        return pending is not None and pending.consumer == self._instance

    def renew(self) -> None:
        with self._server.lock:
            self._check_lease()
            self._prolong()

    def _prolong(self) -> None:
        self._server.hold_lease(self._service, self._seconds)
        self._until = self._clock.monotonic() + self._seconds

    def _check_lease(self) -> None:
        if self._server.lease(self._service) != {
            "instance": self._instance,
            "fence": str(self._fence),
        }:
            self._until = 0.0
            raise Fenced("the lease is lost: it has run out or another instance holds it")

    def lease_left(self) -> float:
        return max(0.0, self._until - self._clock.monotonic())

    def release(self) -> None:
        with self._server.lock:
            try:
                self._check_lease()
                self._server.hash(lease_key(self._service)).clear()
            except Fenced:
                pass
            self._until = 0.0

    def load(self) -> StateRecord:
        with self._server.lock:
            fields = self._server.hash(self._state)
            rest = {name: text for name, text in fields.items() if name not in RESERVED}
            return StateRecord(rest, int(fields.get("version", 0)), int(fields.get("fence", 0)))

    def read(self, *, count: int, block_ms: int) -> list[Entry]:
        with self._server.lock:
            if not self._held:
                self._claim_from_the_dead()
            if not self._held and self._recovering:
                self._hold(self._pending(count))
                self._recovering = bool(self._held)
            if not self._held:
                self._hold(self._fresh(count))
            return list(self._held.values())

    def _hold(self, entries: Iterator[Entry]) -> None:
        self._held.update({(entry.stream, entry.entry_id): entry for entry in entries})

    def _groups(self) -> Iterator[tuple[Stream, MemoryStream, Group]]:
        for stream in READS[self._service]:
            kept = self._server.stream(stream.key)
            yield stream, kept, kept.groups[self._service.value]

    def _claim_from_the_dead(self) -> None:
        now = self._clock.monotonic()
        for _, kept, group in self._groups():
            for entry_id in [known for known in group.pending if kept.get(known) is None]:
                del group.pending[entry_id]
            for pending in group.pending.values():
                if pending.consumer != self._instance and now - pending.at >= self._claim_idle:
                    pending.consumer, pending.at = self._instance, now
                    self._recovering = True
        self._claim_idle = self._seconds

    def _pending(self, count: int) -> Iterator[Entry]:
        for stream, kept, group in self._groups():
            mine = [item for item in group.pending.items() if item[1].consumer == self._instance]
            for entry_id, pending in sorted(mine, key=lambda item: entry_order(item[0]))[:count]:
                yield self._deliver(stream, entry_id, kept.get(entry_id) or {}, pending)

    def _fresh(self, count: int) -> Iterator[Entry]:
        for stream, kept, group in self._groups():
            for entry_id, fields in kept.fresh(group, count):
                pending = group.pending[entry_id] = Pending(self._instance, 0.0)
                yield self._deliver(stream, entry_id, fields, pending)

    def _deliver(self, stream: Stream, entry_id: str, fields: Fields, pending: Pending) -> Entry:
        pending.deliveries += 1
        pending.at = self._clock.monotonic()
        return Entry(stream, entry_id, fields, pending.deliveries)

    def commit(self, step: Step) -> None:
        with self._server.lock:
            self._check_lease()
            version = self.load().version
            if version != step.version:
                raise Conflict(f"the state has moved from version {step.version} to {version}")
            if step.kill and self._server.kill_view() != step.kill:
                raise Conflict("the kill latch has moved since the decision")
            self._write(step)

    def _write(self, step: Step) -> None:
        state = self._server.hash(self._state)
        state.update(step.changed, version=str(step.version + 1))
        for name in step.removed:
            state.pop(name, None)
        for stream, fields in step.outputs:
            self._server.append(stream.key, fields)
        for letter in step.dead:
            self._server.append(DEAD, dead_fields(letter, self._service.value))
        for entry in [*step.acks, *(letter.entry for letter in step.dead)]:
            group = self._server.stream(entry.stream.key).groups[self._service.value]
            group.pending.pop(entry.entry_id, None)
            self._held.pop((entry.stream, entry.entry_id), None)

    def kill_view(self) -> KillView:
        return self._server.kill_view()

    def append_kill(self, fields: Fields) -> str:
        return self._server.append(KILL_LOG, fields)

    def stream_after(self, stream: str, after: str, count: int) -> Iterator[tuple[str, Fields]]:
        """`stream`: a Stream or a whole key (`kobe:dead`); `after` is exclusive, "0" the start."""
        kept = self._server.stream(stream.key if isinstance(stream, Stream) else stream)
        start = kept.after(after)
        return iter(kept.entries[start : start + count])

    def audit_progress(self, stream: Stream) -> tuple[str, str]:
        with self._server.lock:
            kept = self._server.stream(stream.key)
            state = self._server.hash(state_key(ServiceName.AUDITOR))
            recorded = state.get(f"position:{stream.value}", "0").strip('"')
            delivered = [_delivery_bound(kept, group) for group in kept.groups.values()]
        return recorded, max(delivered, key=entry_order, default="0")

    def trim(self, stream: Stream, before: str) -> int:
        """Like RedisBus: never past the auditor, nor past what a group has still to finish."""
        with self._server.lock:
            kept = self._server.stream(stream.key)
            position = self._server.hash(state_key(ServiceName.AUDITOR)).get(
                f"position:{stream.value}"
            )
            if position is None or any(group.pending for group in kept.groups.values()):
                return 0
            bounds = [
                before,
                position.strip('"'),
                *(_delivery_bound(kept, group) for group in kept.groups.values()),
            ]
            return self._server.trim(stream.key, min(bounds, key=entry_order))


def _delivery_bound(kept: MemoryStream, group: Group) -> str:
    """The id of the last entry delivered to the group."""
    index = group.position - kept.dropped - 1
    return kept.entries[index][0] if 0 <= index < len(kept.entries) else "0"
