"""RedisBus: the bus of production, on Redis >= 7.0 or Valkey >= 7.2 (commands of Redis 7.0 only).

Made by a service's `__main__` through `RedisBus.connect`. A step costs three round trips: read,
look under WATCH, MULTI. It never scripts, never retries by itself, and never trims past the
auditor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.exceptions import ResponseError

from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.bus.dead_letter import dead_fields
from shared.runtime.bus.protocol import Conflict, Entry, Fields, KillView, StateRecord, Step
from shared.runtime.bus.redis_connection import (
    Address,
    Command,
    RedisConnection,
    pairs,
    refusal,
    value_of,
)
from shared.runtime.bus.redis_consumer import RedisInbox
from shared.runtime.bus.redis_lease import LEASE_SECONDS, RedisLease, record_of
from shared.runtime.bus.redis_trim import audit_progress, trim_before
from shared.runtime.clock import Clock, SystemClock
from shared.schemas.streams import DEAD, KILL_LOG, KILL_RESUME, ServiceName, Stream, state_key

KILL_READS: tuple[Command, ...] = (
    ("XINFO", "STREAM", KILL_LOG),
    ("HGET", KILL_RESUME, "record"),
)


class RedisBus:
    """Implements bus.Bus."""

    def __init__(
        self,
        connection: RedisConnection,
        service: ServiceName,
        instance: str,
        *,
        lease_seconds: float = LEASE_SECONDS,
        clock: Clock | None = None,
        fence: int = 0,
    ) -> None:
        """`fence` is that of the lease, where another bus of this process has taken it."""
        clock = clock or SystemClock()
        self._connection = connection
        self._group, self._state = service.value, state_key(service)
        self._lease = RedisLease(connection, service, instance, seconds=lease_seconds, clock=clock)
        self._lease.fence = fence
        self._inbox = RedisInbox(
            connection, service, instance, idle_seconds=lease_seconds, clock=clock
        )

    @classmethod
    def connect(
        cls,
        url: str,
        service: ServiceName,
        instance: str,
        *,
        username: str = "",
        password: str = "",
    ) -> RedisBus:
        """Connect at the first command; until then every call raises TransientError."""
        return cls(
            RedisConnection(Address.parse(url, username=username, password=password)),
            service,
            instance,
        )

    def acquire(self) -> StateRecord | None:
        record = self._lease.acquire()
        if record is not None:
            self._inbox.start_over()
        return record

    def renew(self) -> None:
        self._lease.renew()

    def lease_left(self) -> float:
        return self._lease.left

    def release(self) -> None:
        self._lease.release()

    def load(self) -> StateRecord:
        return record_of(pairs(self._connection.one("HGETALL", self._state)))

    def read(self, *, count: int, block_ms: int) -> list[Entry]:
        return self._inbox.read(count=count, block_ms=block_ms)

    def commit(self, step: Step) -> None:
        try:
            self._look(step)
        except Exception:
            self._connection.close()  # and with it the WATCH
            raise
        try:
            answers = self._connection.ask(("MULTI",), *self._writes(step), ("EXEC",))
        except TransientError:
            self._inbox.doubt()
            raise
        _require_commit(answers)
        self._inbox.forget([*step.acks, *(letter.entry for letter in step.dead)])

    def _look(self, step: Step) -> None:
        """Under WATCH: an absent key watches nothing, so what must stand there is compared too."""
        kill_keys = (KILL_LOG, KILL_RESUME) if step.kill else ()
        watch = ("WATCH", self._state, self._lease.key, *kill_keys)
        looks = (("HGET", self._state, "version"), ("HGETALL", self._lease.key))
        watching, version, lease, *kill = self._connection.ask(
            watch, *looks, *(KILL_READS if step.kill else ())
        )
        value_of(watching)
        self._lease.check(value_of(lease))
        if int(value_of(version) or 0) != step.version:
            raise Conflict(f"the state has moved from version {step.version} to {version}")
        if step.kill and kill_view_of(*kill) != step.kill:
            raise Conflict("the kill latch has moved since the decision")

    def _writes(self, step: Step) -> Iterator[Command]:
        yield ("HSET", self._state, "version", step.version + 1, *_flat(step.changed))
        if step.removed:
            yield ("HDEL", self._state, *step.removed)
        for stream, fields in step.outputs:
            yield ("XADD", stream.key, "*", *_flat(fields))
        for letter in step.dead:
            yield ("XADD", DEAD, "*", *_flat(dead_fields(letter, self._group)))
        done: dict[Stream, list[str]] = {}
        for entry in [*step.acks, *(letter.entry for letter in step.dead)]:
            done.setdefault(entry.stream, []).append(entry.entry_id)
        for stream, ids in done.items():
            yield ("XACK", stream.key, self._group, *ids)

    def kill_view(self) -> KillView:
        return read_kill_view(self._connection)

    def append_kill(self, fields: Fields) -> str:
        return str(self._connection.one("XADD", KILL_LOG, "*", *_flat(fields)))

    def stream_after(self, stream: str, after: str, count: int) -> Iterator[tuple[str, Fields]]:
        """`stream`: a Stream or a whole key (`kobe:dead`); `after` is exclusive, "0" the start."""
        key = stream.key if isinstance(stream, Stream) else stream
        for entry_id, flat in self._connection.one("XRANGE", key, f"({after}", "+", "COUNT", count):
            yield entry_id, pairs(flat)

    def trim(self, stream: Stream, before: str) -> int:
        return trim_before(self._connection, stream, before)

    def audit_progress(self, stream: Stream) -> tuple[str, str]:
        return audit_progress(self._connection, stream)

    def close(self) -> None:
        self._connection.close()


def read_kill_view(connection: RedisConnection) -> KillView:
    """Absent or unreadable keys come out as None; raises TransientError when the server is away."""
    return kill_view_of(*connection.ask(*KILL_READS))


def kill_view_of(log: Any, record: Any) -> KillView:
    last = None if isinstance(log, ResponseError) else pairs(log).get("last-generated-id")
    return KillView(last_id=last, record=None if isinstance(record, ResponseError) else record)


def _require_commit(answers: list[Any]) -> None:
    """Check the answers of a MULTI … EXEC; raises Conflict if a watched key moved."""
    results = answers[-1]
    if isinstance(results, ResponseError):
        raise refusal(
            next(answer for answer in answers if isinstance(answer, ResponseError))
        ) from results
    if results is None:
        raise Conflict("the state, the lease or the kill latch moved while the step was under way")
    broken = [str(result) for result in results if isinstance(result, ResponseError)]
    if broken:
        raise InvariantBroken(f"a step was taken in part: {broken}")


def _flat(fields: Fields) -> list[str]:
    return [text for pair in fields.items() for text in pair]
