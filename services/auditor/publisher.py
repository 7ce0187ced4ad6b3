"""What the auditor says, and the state it shows: heights, heads, and how far it has read each stream.

Called by the recorder after everything is synced. At the start it holds the chain against what was
last said of it, so a chain put back to an older copy is noticed. It trims its own stream and no
other.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from shared.domain.errors import InvariantBroken, TransientError
from shared.runtime.bus.protocol import Bus, Conflict, Fields, StateRecord, Step
from shared.runtime.clock import Clock
from shared.runtime.runner.contract import Cause
from shared.runtime.runner.sealer import Sealer
from shared.schemas.envelope import canonical, to_fields
from shared.schemas.messages import Message
from shared.schemas.streams import Stream

KEPT = dt.timedelta(hours=1)
TRIM_SECONDS = 60.0


class Announcer:
    """Envelopes of one writer, numbered; each commit carries messages and state together."""

    def __init__(self, bus: Bus, seal: Sealer, clock: Clock) -> None:
        self._bus, self._seal, self._clock = bus, seal, clock
        self.fence = self._version = self._seq = 0
        self._said_at = self._trimmed_at = clock.monotonic()

    def adopt(self, record: StateRecord, *, height: int, head: str | None) -> None:
        """Go on from the state as it stands. Raises InvariantBroken if it knows more of the chain than is here."""
        self._require_same_chain(record.fields, height, head)
        self.fence, self._version = record.fence, record.version
        self._seq = int(record.fields.get("seq", 0))

    def _require_same_chain(self, said: Fields, height: int, head: str | None) -> None:
        known = json.loads(said.get("height", "0"))
        if known > height or (
            known == height and known and json.loads(said.get("head", '""')) not in ("", head)
        ):
            raise InvariantBroken(
                f"The chain has {height} records (head {head}), but {known} were said to be on disk: "
                "it was cut, rewritten, or an older copy was put back. Restore the newest backup of the folder; "
                "if it is lost for good, begin anew with an empty folder and a Redis without `kobe:state:auditor`."
            )

    def silent_for(self) -> float:
        """Seconds since the state was last written."""
        return self._clock.monotonic() - self._said_at

    def say(self, messages: Sequence[Message], facts: Mapping[str, Any]) -> None:
        """One atomic commit. Raises TransientError (begin again at the lease) or Fenced."""
        outputs = [
            self._sealed(message, self._seq + number)
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
        self._said_at = self._clock.monotonic()
        self._trim()

    def _sealed(self, message: Message, seq: int) -> tuple[Stream, Fields]:
        now = self._clock.now()
        stream, envelope = self._seal(
            message, Cause("", now, now.date(), ""), seq=seq, fence=self.fence
        )
        return stream, to_fields(envelope)

    def _kept_after(self) -> str:
        return f"{int((self._clock.now() - KEPT).timestamp() * 1000)}-0"

    def _trimmable(self) -> dict[str, str]:
        """Its own stream is not recorded: an hour of it is kept, the checkpoints for good stand on disk."""
        return {f"position:{Stream.AUDIT.value}": canonical(self._kept_after()).decode()}

    def _trim(self) -> None:
        if self._clock.monotonic() - self._trimmed_at >= TRIM_SECONDS:
            self._bus.trim(Stream.AUDIT, self._kept_after())
            self._trimmed_at = self._clock.monotonic()
