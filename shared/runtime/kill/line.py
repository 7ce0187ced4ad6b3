"""The wires of the kill over Redis: the channel, the two keys, the log, the latch's own report.

Used by the kill latch alone. Two connections, because one that listens may do nothing else.
"""

import math
import time
from collections.abc import Iterator
from typing import Protocol

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import Fields, KillView
from shared.runtime.bus.redis_bus import KILL_READS, kill_view_of
from shared.runtime.bus.redis_connection import (
    TIMEOUT,
    Address,
    RedisConnection,
    info_of,
    pairs,
    value_of,
)
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, ServiceName, latch_key

# What one look takes off the channel at most: all are the same kill.
MOST_AT_ONCE = 1000
# Entries looked through for the last gap; after more kills than that a service halts once more.
GAPS_WITHIN = 256
# The log is kept this long (it trims a little less); the latch itself needs its last id only.
KEPT_ENTRIES = 10_000
# A connection that gives no sign for so long is taken for dead. Redis may stall for seconds on a
# slow disk, and a stall is no gap: what was published meanwhile still comes.
PATIENCE_SECONDS = 8.0
# Who puts what it hears into the log; `default` is everybody on a server without users.
LATCHERS = {service.value for service in ServiceName if service is not ServiceName.CONSOLE} | {
    "default"
}


class KillLine(Protocol):
    """Every call may raise TransientError; after one, call `listen` again."""

    def listen(self) -> bool:
        """Listen from now on; True if it has listened all the while."""
        ...

    def receive(self, seconds: float) -> list[str]:
        """What was published, waiting at most `seconds` for the first."""
        ...

    def is_covered(self, seconds: float) -> bool:
        """Whether another service has heard everything of the last `seconds`.

        Either it has listened all the while, or it has halted everybody for a gap of its own that
        ends later than ours, and listens ever since.
        """
        ...

    def server_run(self) -> str:
        """Which life of the server this is; another one after each of its restarts."""
        ...

    def ear_id(self) -> str:
        """The number of the listening connection, unique within a life of the server."""
        ...

    def read(self) -> tuple[KillView, str]:
        """The two keys, and the reason that stands in the log's last entry."""
        ...

    def append(self, fields: Fields) -> str:
        """Append to the log; the id of the entry."""
        ...

    def report(self, fields: Fields, lives_seconds: float) -> None:
        """Replace the latch's own report."""
        ...

    def close(self) -> None: ...


class RedisKillLine:
    def __init__(self, address: Address, service: ServiceName, instance: str) -> None:
        self._ear, self._voice = RedisConnection(address), RedisConnection(address)
        self._report_key = latch_key(service, instance)
        self._ear_id = ""
        self._asked_at: float | None = None
        self._early: list[str] = []
        self._why_of = ("", "")

    def listen(self) -> bool:
        if self._ear_id and self._is_still_listening():
            return True
        self._ear.close()
        self._asked_at = None
        me, subscription = self._ear.ask(("CLIENT", "ID"), ("SUBSCRIBE", KILL_CHANNEL))
        self._ear_id = str(value_of(me))
        value_of(subscription)
        return False

    def _is_still_listening(self) -> bool:
        """Whether the old connection answers.

        A half-open connection would be deaf without knowing; a new one answers with a plain word.
        Raises TransientError while the answer may still come.
        """
        try:
            if self._asked_at is None:
                self._ear.send(("PING",))
                self._asked_at = time.monotonic()
            while isinstance(push := self._ear.receive(TIMEOUT), list):
                if push[0] == "pong":
                    self._asked_at = None
                    return True
                self._early.append(push[2])
        except TransientError:
            return False
        if push is None and time.monotonic() - self._asked_at < PATIENCE_SECONDS:
            raise TransientError("the kill channel does not answer")
        return False

    def receive(self, seconds: float) -> list[str]:
        payloads, self._early = self._early, []
        while len(payloads) < MOST_AT_ONCE:
            push = self._ear.receive(0.0 if payloads else seconds)
            if push is None:
                break
            payloads.append(push[2])
        return payloads

    def is_covered(self, seconds: float) -> bool:
        listeners = list(self._listeners())
        if math.isfinite(seconds) and any(
            int(client["age"]) > math.ceil(seconds) for client in listeners
        ):
            return True
        return self._gap_listener() in {client["id"] for client in listeners}

    def _listeners(self) -> Iterator[dict[str, str]]:
        """Other services' connections that listen."""
        lines = str(self._voice.one("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        for line in lines:
            client = dict(word.partition("=")[::2] for word in line.split())
            is_other = client["id"] != self._ear_id and client["user"] in LATCHERS
            if is_other and client["sub"] != "0":
                yield client

    def _gap_listener(self) -> str:
        """The connection that halted everybody for the latest gap; "" if there is none."""
        run = self.server_run()
        for _, flat in self._voice.one("XREVRANGE", KILL_LOG, "+", "-", "COUNT", GAPS_WITHIN):
            fields = pairs(flat)
            if fields.get("run") == run:
                return fields.get("ear", "")
        return ""

    def server_run(self) -> str:
        return info_of(self._voice, "server").get("run_id", "")

    def ear_id(self) -> str:
        return self._ear_id

    def read(self) -> tuple[KillView, str]:
        view = kill_view_of(*self._voice.ask(*KILL_READS))
        if view.last_id is not None and view.last_id != self._why_of[0]:
            newest = self._voice.one("XREVRANGE", KILL_LOG, "+", "-", "COUNT", 1)
            self._why_of = (view.last_id, pairs(newest[0][1]).get("why", "") if newest else "")
        return view, self._why_of[1]

    def append(self, fields: Fields) -> str:
        flat = [text for pair in fields.items() for text in pair]
        return str(self._voice.one("XADD", KILL_LOG, "MAXLEN", "~", KEPT_ENTRIES, "*", *flat))

    def report(self, fields: Fields, lives_seconds: float) -> None:
        flat = [text for pair in fields.items() for text in pair]
        answers = self._voice.ask(
            ("HSET", self._report_key, *flat),
            ("PEXPIRE", self._report_key, int(lives_seconds * 1000)),
        )
        for answer in answers:
            value_of(answer)

    def close(self) -> None:
        self._ear.close()
        self._voice.close()
