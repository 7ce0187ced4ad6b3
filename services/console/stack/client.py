"""The console's client of a stack: service states, streams, kill and resume.

Called by the command line. It decides nothing about trading and writes only to the control stream,
the kill channel and the operator's resume key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from services.console.stack.address import StackAddress, password_of
from services.console.stack.reader import ServiceStatus, StreamMessage
from shared.runtime.bus.protocol import Fields, KillView
from shared.runtime.bus.redis_connection import Address, RedisConnection, pairs
from shared.schemas.envelope import Malformed, from_fields
from shared.schemas.messages import Message
from shared.schemas.streams import (
    DEAD,
    KILL_CHANNEL,
    KILL_LOG,
    KILL_RESUME,
    ServiceName,
    Stream,
    lease_key,
    state_key,
)

PAGE = 500
"""Entries a read: a few hundred kilobytes."""
SERVICES = tuple(name for name in ServiceName if name is not ServiceName.CONSOLE)


class StackClient:
    def __init__(self, address: StackAddress) -> None:
        self.address = address
        where = Address.parse(address.redis_url, username="console", password=password_of(address))
        self.redis = RedisConnection(where)

    # --- look -------------------------------------------------------------------------------------

    def state(self, service: ServiceName) -> dict[str, Any]:
        """A service's state hash, values decoded."""
        fields = pairs(self.redis.one("HGETALL", state_key(service)))
        return {name: _decode(text) for name, text in fields.items()}

    def kill_view(self) -> KillView:
        info, cleared = self.redis.ask(
            ("XINFO", "STREAM", KILL_LOG), ("HGET", KILL_RESUME, "cleared_id")
        )
        last = pairs(info).get("last-generated-id") if isinstance(info, list) else None
        return KillView(last, cleared if isinstance(cleared, str) else None)

    def after(self, stream: Stream, last_id: str = "0-0", count: int = PAGE) -> list[StreamMessage]:
        """Entries after an id, oldest first; unreadable ones are skipped (the auditor has them)."""
        entries = self.redis.one("XRANGE", stream.key, f"({last_id}", "+", "COUNT", count)
        return [
            heard for entry_id, flat in entries if (heard := _read_entry(entry_id, pairs(flat)))
        ]

    def latest(
        self, stream: Stream, wanted: type[Message] | tuple[type[Message], ...], count: int
    ) -> list[StreamMessage]:
        """The newest messages of some types, newest first."""
        found: list[StreamMessage] = []
        for heard in self.backwards(stream):
            if isinstance(heard.message, wanted):
                found.append(heard)
                if len(found) == count:
                    break
        return found

    def backwards(self, stream: Stream) -> Iterator[StreamMessage]:
        """Entries, newest first; unreadable ones are skipped."""
        before = "+"
        while entries := self.redis.one("XREVRANGE", stream.key, before, "-", "COUNT", PAGE):
            for entry_id, flat in entries:
                if heard := _read_entry(entry_id, pairs(flat)):
                    yield heard
            before = f"({entries[-1][0]}"

    def last_kill(self) -> tuple[str, Fields]:
        entries = self.redis.one("XREVRANGE", KILL_LOG, "+", "-", "COUNT", 1)
        return (entries[0][0], pairs(entries[0][1])) if entries else ("", {})

    def dead_letters(self) -> int:
        return int(self.redis.one("XLEN", DEAD))

    def lease_holders(self) -> dict[str, bool]:
        answers = self.redis.ask(*(("HGET", lease_key(name), "instance") for name in SERVICES))
        return {
            name.value: isinstance(answer, str)
            for name, answer in zip(SERVICES, answers, strict=True)
        }

    def services(self) -> list[ServiceStatus]:
        held = self.lease_holders()
        states = {name: pairs(self.redis.one("HGETALL", state_key(name))) for name in SERVICES}
        return [
            ServiceStatus(
                service=name.value,
                active=held[name.value],
                fence=int(fields.get("fence", 0)),
                version=int(fields.get("version", 0)),
                seq=int(fields.get("seq", 0)),
            )
            for name, fields in states.items()
        ]

    # --- act --------------------------------------------------------------------------------------

    def kill(self, why: str) -> int:
        """Publish a kill as the user `kill`; the number of services that received it."""
        where = Address.parse(self.address.redis_url, username="kill", password="kill")
        connection = RedisConnection(where)
        try:
            return int(connection.one("PUBLISH", KILL_CHANNEL, why))
        finally:
            connection.close()


def _decode(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _read_entry(entry_id: str, fields: Mapping[str, str]) -> StreamMessage | None:
    try:
        envelope, message = from_fields(fields)
    except Malformed:
        return None
    return StreamMessage(entry_id, envelope, message)
