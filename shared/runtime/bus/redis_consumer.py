"""What a service has been delivered and has not yet acknowledged, read through its consumer group.

Used by RedisBus. What is handed out is kept until it is acknowledged and handed out again if asked
again, so that a retry within this process is no new delivery; `deliveries` grows only when a
process before us left an entry behind.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from shared.runtime.bus.protocol import Entry
from shared.runtime.bus.redis_connection import Command, RedisConnection, pairs, value_of
from shared.runtime.clock import Clock
from shared.schemas.streams import READS, ServiceName, Stream

# Heartbeat, lease and stop are looked after between two reads.
LONGEST_BLOCK_MS = 2000
# How soon a dead replica's entries are noticed, once they have been idle for a lease.
SWEEP_SECONDS = 5.0
# More than two reads of every stream can leave pending.
PENDING_PAGE = 10_000


class RedisInbox:
    def __init__(
        self,
        connection: RedisConnection,
        service: ServiceName,
        instance: str,
        *,
        idle_seconds: float,
        clock: Clock,
    ) -> None:
        self._connection, self._clock = connection, clock
        self._group, self._consumer = service.value, instance
        self._streams = READS[service]
        self._by_key = {stream.key: stream for stream in self._streams}
        self._idle_ms = int(idle_seconds * 1000)
        self._held: dict[tuple[Stream, str], Entry] = {}
        self._in_doubt = False
        self.start_over()

    def start_over(self) -> None:
        """The lease is newly ours: whatever is pending, at whomever, is ours to finish."""
        self.doubt()
        self._recovering = True
        self._claim_idle_ms = 0
        self._next_sweep = 0.0

    def doubt(self) -> None:
        """Whether a commit was taken is unknown: ask what is pending before giving it out again."""
        self._in_doubt = bool(self._held)

    def forget(self, entries: Iterable[Entry]) -> None:
        """They are acknowledged: a commit with them was taken."""
        for entry in entries:
            self._held.pop((entry.stream, entry.entry_id), None)

    def read(self, *, count: int, block_ms: int) -> list[Entry]:
        """At most `count` of each stream, in the order of READS."""
        if not self._streams:
            return []
        if self._in_doubt:
            self._settle_doubt()
        if not self._held:
            if self._clock.monotonic() >= self._next_sweep:
                self._claim_from_the_dead()
            if self._recovering:
                self._recover(count)
        if not self._held:
            self._read_fresh(count, min(block_ms, LONGEST_BLOCK_MS))
        return list(self._held.values())

    def _hold(self, entries: Iterable[Entry]) -> None:
        self._held.update({(entry.stream, entry.entry_id): entry for entry in entries})

    def _read_fresh(self, count: int, block_ms: int) -> None:
        command = self._read_command(count, ">", block_ms)
        self._recovering = True  # until the answer is here: it may be lost with entries in it
        answer = value_of(self._connection.ask(command, block=max(block_ms, 0) / 1000)[0])
        self._recovering = False
        self._hold(self._entries(answer))

    def _recover(self, count: int) -> None:
        entries = self._entries(value_of(self._connection.ask(self._read_command(count, "0"))[0]))
        if entries:
            self._hold(self._with_deliveries(entries))
        else:
            self._recovering = False

    def _read_command(self, count: int, after: str, block_ms: int = 0) -> Command:
        blocking = ("BLOCK", block_ms) if block_ms > 0 else ()
        head = (
            "XREADGROUP",
            "GROUP",
            self._group,
            self._consumer,
            "COUNT",
            count,
            *blocking,
            "STREAMS",
        )
        return (*head, *self._by_key, *([after] * len(self._streams)))

    def _entries(self, answer: list[Any] | None) -> list[Entry]:
        """An entry trimmed away while pending has no fields left: it comes out as unreadable."""
        return [
            Entry(self._by_key[key], entry_id, pairs(flat or []))
            for key, entries in answer or []
            for entry_id, flat in entries
        ]

    def _with_deliveries(self, entries: list[Entry]) -> list[Entry]:
        counts = {
            (stream, entry_id): int(deliveries)
            for stream, rows in self._pending(entries)
            for entry_id, _, _, deliveries in rows
        }
        return [
            Entry(
                entry.stream,
                entry.entry_id,
                entry.fields,
                counts.get((entry.stream, entry.entry_id), 1),
            )
            for entry in entries
        ]

    def _settle_doubt(self) -> None:
        pending = {
            (stream, row[0]) for stream, rows in self._pending(self._held.values()) for row in rows
        }
        self._held = {key: entry for key, entry in self._held.items() if key in pending}
        self._in_doubt = False

    def _pending(self, entries: Iterable[Entry]) -> list[tuple[Stream, list[Any]]]:
        """XPENDING over the range that `entries` span, stream by stream."""
        spans = [
            (stream, [entry.entry_id for entry in group])
            for stream, group in groupby(entries, key=lambda entry: entry.stream)
        ]
        if not spans:
            return []
        commands = [
            ("XPENDING", stream.key, self._group, ids[0], ids[-1], PENDING_PAGE, self._consumer)
            for stream, ids in spans
        ]
        answers = self._connection.ask(*commands)
        return [(stream, value_of(rows)) for (stream, _), rows in zip(spans, answers, strict=True)]

    def _claim_from_the_dead(self) -> None:
        """Make other consumers' entries ours, not counted as a delivery; `_recover` brings them."""
        cursors = dict.fromkeys(self._by_key, "0-0")
        while cursors:
            answers = self._connection.ask(
                *(self._claim_command(key, cursor) for key, cursor in cursors.items())
            )
            replies = dict(zip(cursors, (value_of(answer) for answer in answers), strict=True))
            self._recovering |= any(ids for _, ids, *_ in replies.values())
            cursors = {key: reply[0] for key, reply in replies.items() if reply[0] != "0-0"}
        self._claim_idle_ms = self._idle_ms
        self._next_sweep = self._clock.monotonic() + SWEEP_SECONDS

    def _claim_command(self, key: str, cursor: str) -> Command:
        return (
            "XAUTOCLAIM",
            key,
            self._group,
            self._consumer,
            self._claim_idle_ms,
            cursor,
            "COUNT",
            1000,
            "JUSTID",
        )
