"""The console's client of a stack: what services, streams and kill latches say of themselves.

Called by the command line. It writes nothing; control_writer.py and kill_switch/ do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from services.console.stack.address import StackAddress, password_of
from services.console.stack.latches import SERVICES, read_latches
from services.console.stack.operator_key import OperatorKey
from services.console.stack.reader import ServiceStatus, StreamMessage
from shared.domain.errors import UserError
from shared.runtime.bus.protocol import Fields, KillView
from shared.runtime.bus.redis_bus import read_kill_view
from shared.runtime.bus.redis_connection import Address, RedisConnection, pairs
from shared.runtime.runner.sealer import Identity
from shared.schemas.envelope import Malformed, from_fields
from shared.schemas.json_types import JsonObject
from shared.schemas.messages import Message, SessionOpened
from shared.schemas.streams import (
    DEAD,
    KILL_LOG,
    ServiceName,
    Stream,
    lease_key,
    state_key,
)

PAGE = 500
"""Entries a read: a few hundred kilobytes."""
# Before the first session nothing says which configuration the stack runs under.
UNKNOWN = "unknown"


class StackClient:
    def __init__(self, address: StackAddress) -> None:
        self.address = address
        where = Address.parse(address.redis_url, username="console", password=password_of(address))
        self.redis = RedisConnection(where)

    # --- look -------------------------------------------------------------------------------------

    def state(self, service: ServiceName) -> JsonObject:
        """A service's state hash, values decoded."""
        fields = pairs(self.redis.one("HGETALL", state_key(service)))
        return {name: _decode(text) for name, text in fields.items()}

    def kill_view(self) -> KillView:
        return read_kill_view(self.redis)

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

    def identity(self) -> Identity:
        """Mode and account of the stack, from its schedule or a kill latch.

        Raises UserError if no service of it has ever spoken.
        """
        opened = self.latest(Stream.SCHEDULE, SessionOpened, 1)
        if opened:
            last = opened[0].envelope
            return Identity(last.mode, last.account, last.config_pin, last.code_digest)
        for latch in read_latches(self.redis):
            if latch.status:
                return Identity(latch.status.mode, latch.status.account, UNKNOWN, UNKNOWN)
        raise UserError("No service of this stack has spoken yet; start it.")

    def halts(self) -> dict[str, tuple[str, ...]]:
        """Service -> why it is halted, in its own words.

        Of a stack that is down: why it would come up halted, under its name `stack`.
        """
        latches = read_latches(self.redis)
        if any(latch.status for latch in latches):
            return {latch.service.value: latch.reasons for latch in latches if latch.reasons}
        try:
            check = OperatorKey.load(self.address).check(self.identity())
        except UserError:
            return {}
        reason = check.reason(self.kill_view(), self.last_kill()[1].get("why", ""))
        return {"stack": (reason,)} if reason else {}

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
