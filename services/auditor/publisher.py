"""Publishes the auditor's messages and its state: heights, heads, and its position in each stream.

Called by the recorder after everything is synced. It trims its own stream and no other.
"""

import datetime as dt
from collections.abc import Sequence

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import Bus, Conflict, Fields, StateRecord, Step
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Trigger
from shared.runtime.runner.sealer import Sealer
from shared.schemas.envelope import canonical, to_fields
from shared.schemas.json_types import JsonMapping
from shared.schemas.messages import Message
from shared.schemas.streams import Stream

# Long enough for a console that was away over lunch; checkpoints and records stay on disk.
KEPT = dt.timedelta(hours=1)
# Trimming is a round trip; once a minute keeps the stream within 2 % of its bound.
TRIM_SECONDS = 60.0


class AuditPublisher:
    """Envelopes of one writer, numbered; each commit carries messages and state together."""

    def __init__(self, bus: Bus, seal: Sealer, clock: Clock) -> None:
        self._bus, self._seal, self._clock = bus, seal, clock
        self.fence = self._version = self._seq = 0
        self._published_at = self._trimmed_at = clock.monotonic()

    def adopt(self, record: StateRecord) -> None:
        """Go on numbering from the state as it is."""
        self.fence, self._version = record.fence, record.version
        self._seq = int(record.fields.get("seq", 0))

    def idle_seconds(self) -> float:
        """Seconds since the state was last written."""
        return self._clock.monotonic() - self._published_at

    def publish(self, messages: Sequence[Message], facts: JsonMapping) -> None:
        """One atomic commit. Raises TransientError (begin again at the lease) or Fenced."""
        outputs = [
            self._envelope(message, self._seq + number)
            for number, message in enumerate(messages, start=1)
        ]
        seq = self._seq + len(messages)
        changed = {name: canonical(value).decode() for name, value in {**facts, "seq": seq}.items()}
        try:
            self._bus.commit(
                Step(self._version, changed=changed | self._trimmable(), outputs=outputs)
            )
        except Conflict as error:
            raise TransientError(f"the auditor's state moved under it: {error}") from error
        self._version += 1
        self._seq = seq
        self._published_at = self._clock.monotonic()
        self._trim()

    def _envelope(self, message: Message, seq: int) -> tuple[Stream, Fields]:
        now = self._clock.now()
        stream, envelope = self._seal(
            message, Trigger("", now, now.date(), ""), seq=seq, fence=self.fence
        )
        return stream, to_fields(envelope)

    def _oldest_kept_id(self) -> str:
        return f"{int((self._clock.now() - KEPT).timestamp() * 1000)}-0"

    def _trimmable(self) -> dict[str, str]:
        """Its own stream is not recorded: an hour of it is kept; the checkpoints stay on disk."""
        return {f"position:{Stream.AUDIT.value}": canonical(self._oldest_kept_id()).decode()}

    def _trim(self) -> None:
        if self._clock.monotonic() - self._trimmed_at >= TRIM_SECONDS:
            self._bus.trim(Stream.AUDIT, self._oldest_kept_id())
            self._trimmed_at = self._clock.monotonic()
