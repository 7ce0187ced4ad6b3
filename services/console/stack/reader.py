"""What views need of a stack; the client over Redis and the tests' fake both offer it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from services.console.stack.address import StackAddress
from shared.runtime.bus.protocol import Fields, KillView
from shared.schemas.envelope import Envelope
from shared.schemas.json_types import JsonObject
from shared.schemas.messages import Message
from shared.schemas.streams import ServiceName, Stream


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    service: str
    active: bool
    fence: int
    version: int
    seq: int


@dataclass(frozen=True)
class StreamMessage:
    """One entry of a stream, decoded."""

    entry_id: str
    envelope: Envelope
    message: Message


class StackReader(Protocol):
    """Reads states, streams and the kill latch; writes nothing."""

    address: StackAddress

    def state(self, service: ServiceName) -> JsonObject: ...

    def kill_view(self) -> KillView: ...

    def halts(self) -> dict[str, tuple[str, ...]]: ...

    def last_kill(self) -> tuple[str, Fields]: ...

    def after(
        self, stream: Stream, last_id: str = ..., count: int = ...
    ) -> list[StreamMessage]: ...

    def backwards(self, stream: Stream) -> Iterator[StreamMessage]: ...

    def latest(
        self, stream: Stream, wanted: type[Message] | tuple[type[Message], ...], count: int
    ) -> list[StreamMessage]: ...

    def dead_letters(self) -> int: ...

    def services(self) -> list[ServiceStatus]: ...
