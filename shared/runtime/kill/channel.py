"""The wires of the kill: hearing the channel, reading the latch, writing the log; over Redis or in one process.

Used by the kill latch alone. Two connections, because one that listens may do nothing else.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Protocol

from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import Fields, KillView
from shared.runtime.bus.redis_bus import read_kill_view
from shared.runtime.bus.redis_connection import (
    TIMEOUT,
    Address,
    RedisConnection,
    pairs,
    value_of,
)
from shared.schemas.streams import KILL_CHANNEL, KILL_LOG, ServiceName

MOST_AT_ONCE = 1000
# Who puts what it hears into the log; `default` is everybody on a server without users.
LATCHERS = {service.value for service in ServiceName if service is not ServiceName.CONSOLE} | {
    "default"
}


class KillLine(Protocol):
    """Every call may raise TransientError; after one the line is deaf until `listen` is called again."""

    def listen(self) -> bool:
        """Listen from now on; True if it has listened all the while."""
        ...

    def heard(self, seconds: float) -> list[str]:
        """What was published, waiting at most `seconds` for the first."""
        ...

    def covered(self, seconds: float) -> bool:
        """Whether another service has listened for at least so long, without a break."""
        ...

    def read(self) -> tuple[KillView, str]:
        """The latch, and the reason that stands in the log's last entry."""
        ...

    def append(self, fields: Fields) -> str: ...

    def close(self) -> None: ...


class RedisKillLine:
    def __init__(self, address: Address) -> None:
        self._ear, self._voice = RedisConnection(address), RedisConnection(address)
        self._ear_id = ""
        self._early: list[str] = []
        self._why_of = ("", "")

    def listen(self) -> bool:
        if self._ear_id and self._still_listening():
            return True
        self._ear.close()
        me, subscribed = self._ear.ask(("CLIENT", "ID"), ("SUBSCRIBE", KILL_CHANNEL))
        self._ear_id = str(value_of(me))
        value_of(subscribed)
        return False

    def _still_listening(self) -> bool:
        """A half-open connection would be deaf without knowing; a new one answers with a plain word."""
        self._ear.send(("PING",))
        while isinstance(push := self._ear.receive(TIMEOUT), list):
            if push[0] == "pong":
                return True
            self._early.append(push[2])
        return False

    def heard(self, seconds: float) -> list[str]:
        payloads, self._early = self._early, []
        while len(payloads) < MOST_AT_ONCE:
            push = self._ear.receive(0.0 if payloads else seconds)
            if push is None:
                break
            payloads.append(push[2])
        return payloads

    def covered(self, seconds: float) -> bool:
        lines = str(self._voice.one("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
        clients = [dict(word.partition("=")[::2] for word in line.split()) for line in lines]
        return math.isfinite(seconds) and any(
            client["id"] != self._ear_id
            and client["user"] in LATCHERS
            and client["sub"] != "0"
            and int(client["age"]) > math.ceil(seconds)
            for client in clients
        )

    def read(self) -> tuple[KillView, str]:
        view = read_kill_view(self._voice)
        if view.last_id is not None and view.last_id != self._why_of[0]:
            newest = self._voice.one("XREVRANGE", KILL_LOG, "+", "-", "COUNT", 1)
            self._why_of = (view.last_id, pairs(newest[0][1]).get("why", "") if newest else "")
        return view, self._why_of[1]

    def append(self, fields: Fields) -> str:
        flat = [text for pair in fields.items() for text in pair]
        return str(self._voice.one("XADD", KILL_LOG, "*", *flat))

    def close(self) -> None:
        self._ear.close()
        self._voice.close()


class MemoryKillLine:
    """Within one process everybody hears everything, so no gap is ever uncovered."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server
        self._heard: deque[str] = deque()
        self._subscribed = False

    def listen(self) -> bool:
        if not self._subscribed:
            self._server.subscribe(self._heard.append)
            self._subscribed = True
        return True

    def heard(self, seconds: float) -> list[str]:
        return [self._heard.popleft() for _ in range(len(self._heard))]

    def covered(self, seconds: float) -> bool:
        return True

    def read(self) -> tuple[KillView, str]:
        view = self._server.kill_view()
        log = self._server.streams.get(KILL_LOG)
        return view, log.entries[-1][1].get("why", "") if log and log.entries else ""

    def append(self, fields: Fields) -> str:
        return self._server.append(KILL_LOG, fields)

    def close(self) -> None:
        pass
