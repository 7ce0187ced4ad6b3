"""Watches the server: what was refused becomes a metric, idle strangers are shown out.

Runs beside the recorder, in a thread with a connection of its own, which stands from the start: so
it can make room even when the server takes no more connections. It judges nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.backoff import Backoff
from shared.runtime.bus.redis_connection import RedisConnection, info_of, pairs, value_of
from shared.runtime.observability.log import Log
from shared.runtime.observability.metrics import MetricRegistry
from shared.runtime.observability.samples import CounterSpec, MetricSample, label_sets
from shared.runtime.provisioning.redis_acl import KILL, users

LOOK_SECONDS = 1.0
# A client logs in within milliseconds of connecting; `kill` publishes once and leaves.
STRANGER_SECONDS = 2
KILLER_SECONDS = 5
# A whole stack with its console has fewer; below that nobody needs to make room.
FEW_CONNECTIONS = 60
# Commands sent in one piece.
PAGE = 500

DENIED = CounterSpec(
    "kobe_redis_acl_denied",
    "What Redis refused, by user and reason",
    label_sets(
        user=[*(user.name for user in users()), "default"],
        reason=["auth", "command", "key", "channel"],
    ),
)
DISCONNECTED = CounterSpec(
    "kobe_redis_strangers_disconnected", "Idle connections that had not logged in, closed by us"
)


class RedisGuard:
    """`start` and `stop` it with the service."""

    def __init__(self, connection: RedisConnection, metrics: MetricRegistry, log: Log) -> None:
        self._redis, self._metrics, self._log = connection, metrics, log
        self._clients = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="redis-guard", daemon=True)
        metrics.declare(DENIED, DISCONNECTED)
        metrics.watch(self._gauges)

    def start(self) -> RedisGuard:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._redis.close()

    def _run(self) -> None:
        backoff = Backoff(LOOK_SECONDS, 10.0)
        while not self._stop.is_set():
            try:
                self.look()
                backoff.reset()
                self._stop.wait(LOOK_SECONDS)
            except (TransientError, InvariantBroken) as error:
                self._log.warning("redis_guard_failed", error=str(error))
                self._stop.wait(backoff.next_pause())

    def look(self) -> None:
        """Once. Raises TransientError."""
        self._count_refusals()
        self._clients = int(info_of(self._redis, "clients").get("connected_clients", 0))
        if self._clients > FEW_CONNECTIONS:
            self._show_out(list(self._strangers()))

    def _count_refusals(self) -> None:
        """The server adds equal refusals up; taking them away with reading counts each once."""
        answers = self._redis.ask(
            ("MULTI",), ("ACL", "LOG", "128"), ("ACL", "LOG", "RESET"), ("EXEC",)
        )
        for flat in value_of(answers[-1])[0]:
            entry = pairs(flat)
            user, reason, count = entry["username"], entry["reason"], int(entry["count"])
            self._metrics.count("kobe_redis_acl_denied", count, user=user, reason=reason)
            self._log.error(
                "redis_acl_denied", user=user, reason=reason, object=entry["object"], count=count
            )

    def _strangers(self) -> Iterator[str]:
        """Nobody can be the user `default`: who is has not logged in."""
        for line in str(self._redis.one("CLIENT", "LIST", "TYPE", "normal")).splitlines():
            client = dict(word.partition("=")[::2] for word in line.split())
            idle = int(client["idle"])
            if (client["user"] == "default" and idle >= STRANGER_SECONDS) or (
                client["user"] == KILL and idle >= KILLER_SECONDS
            ):
                yield client["id"]

    def _show_out(self, ids: list[str]) -> None:
        for start in range(0, len(ids), PAGE):
            page = ids[start : start + PAGE]
            answers = self._redis.ask(*(("CLIENT", "KILL", "ID", number) for number in page))
            closed = sum(answer == 1 for answer in answers)
            self._metrics.count("kobe_redis_strangers_disconnected", closed)

    def _gauges(self) -> list[MetricSample]:
        return [MetricSample("kobe_redis_clients", self._clients, help="Connections to the server")]
