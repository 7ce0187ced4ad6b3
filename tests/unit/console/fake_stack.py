"""A stack that exists in memory: what the console's client would read from Redis and disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from services.console.stack.address import SERVICES, StackAddress
from services.console.stack.reader import ServiceStatus, StreamMessage
from shared.runtime.bus.protocol import KillView
from shared.schemas.messages import Message
from shared.schemas.streams import STREAM_OF, ServiceName, Stream
from tests.builders import envelope

NOW_MS = 1_704_474_000_000


@dataclass
class FakeClient:
    """Set what a test is about; everything else is a stack that is well."""

    address: StackAddress
    streams: dict[Stream, list[StreamMessage]] = field(default_factory=dict)
    states: dict[ServiceName, dict[str, Any]] = field(default_factory=dict)
    view: KillView = field(default_factory=lambda: KillView("1-0", "1-0"))
    kill_fields: dict[str, str] = field(default_factory=dict)
    halted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    dead: int = 0
    away: frozenset[str] = frozenset()

    def say(self, message: Message, **changes: Any) -> None:
        """Put a message at the end of its stream."""
        entries = self.streams.setdefault(STREAM_OF[type(message)], [])
        entry_id = f"{NOW_MS + len(entries)}-0"
        entries.append(StreamMessage(entry_id, envelope(message, **changes), message))

    def state(self, service: ServiceName) -> dict[str, Any]:
        return self.states.get(service, {})

    def kill_view(self) -> KillView:
        return self.view

    def halts(self) -> dict[str, tuple[str, ...]]:
        return self.halted

    def last_kill(self) -> tuple[str, dict[str, str]]:
        return "1-0", self.kill_fields

    def after(self, stream: Stream, last_id: str = "0-0", count: int = 500) -> list[StreamMessage]:
        return self.streams.get(stream, [])[:count]

    def backwards(self, stream: Stream) -> Iterator[StreamMessage]:
        return reversed(self.streams.get(stream, []))

    def latest(self, stream: Stream, wanted: Any, count: int) -> list[StreamMessage]:
        found = [each for each in self.backwards(stream) if isinstance(each.message, wanted)]
        return found[:count]

    def dead_letters(self) -> int:
        return self.dead

    def services(self) -> list[ServiceStatus]:
        return [
            ServiceStatus(service=name, active=name not in self.away, fence=1, version=1, seq=1)
            for name in SERVICES
        ]


def address(folder: Path, **changes: Any) -> StackAddress:
    values = StackAddress(
        redis_url="redis://127.0.0.1:9",
        password_file=str(folder / "password"),
        broker_url="http://127.0.0.1:9",
        kill_file=str(folder / "KILL_SWITCH"),
        log_dir=str(folder / "logs"),
        audit_dir=str(folder),
    )
    return msgspec.structs.replace(values, **changes)
