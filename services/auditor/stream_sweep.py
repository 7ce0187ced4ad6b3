"""Reads every stream by position, oldest first, and makes a record of each entry.

XRANGE and not a group, so no other reader can acknowledge an entry away from the auditor. Its own
stream is not read (recording that something was recorded would never end). Called by the recorder.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

from shared.runtime.bus.protocol import Bus, Fields, entry_order
from shared.schemas.json_types import JsonObject
from shared.schemas.streams import DEAD, KILL_LOG, WRITER, Stream

READ = tuple(stream for stream in Stream if stream is not Stream.AUDIT)
NAMES = (*(stream.key for stream in READ), KILL_LOG, DEAD)
# Entries read of one stream in one sweep; a sweep stays below a few MiB.
BATCH = 128
_OWNER = {stream.key: WRITER[stream].value for stream in READ}
# Digits; beyond it a JSON reader with doubles would round the number.
_LONGEST_SEQ = 15


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One stream entry on its way into the chain."""

    stream: str
    entry_id: str
    fields: Fields

    @property
    def order(self) -> tuple[tuple[int, int], str]:
        return entry_order(self.entry_id), self.stream

    def payload(self) -> JsonObject:
        """Writer, number, type and time beside the message itself; hex where it is not UTF-8."""
        place: JsonObject = {"stream": self.stream, "entry_id": self.entry_id}
        try:
            "".join(chain.from_iterable(self.fields.items())).encode()
        except UnicodeEncodeError:
            return place | {
                "message_hex": {_hex(name): _hex(text) for name, text in self.fields.items()}
            }
        named = {
            name: self.fields[name] for name in ("writer", "type", "at") if name in self.fields
        }
        return {**named, **self._number(), **place, "message": dict(self.fields)}

    def _number(self) -> dict[str, int]:
        """The writer's number counts only on the writer's own stream."""
        seq = self.fields.get("seq", "")
        owned = self.fields.get("writer") == _OWNER.get(self.stream, "")
        return (
            {"seq": int(seq)}
            if owned and seq.isascii() and seq.isdigit() and len(seq) <= _LONGEST_SEQ
            else {}
        )


def _hex(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").hex()


@dataclass(frozen=True, slots=True)
class Sweep:
    """One reading of all streams; `complete`: there was nothing more when it began."""

    found: list[StreamEntry]
    complete: bool


def sweep(bus: Bus, positions: Mapping[str, str]) -> Sweep:
    """What came after the positions, in the order in which the server took it.

    Where a stream has more than a batch, what came later elsewhere waits: the chain keeps the order
    of events.
    """
    found: list[StreamEntry] = []
    ends: list[int] = []
    for name in NAMES:
        entries = list(bus.stream_after(name, positions.get(name, "0"), BATCH))
        found += [StreamEntry(name, entry_id, fields) for entry_id, fields in entries]
        if len(entries) == BATCH:
            ends.append(entry_order(entries[-1][0])[0])
    if ends:
        found = [each for each in found if each.order[0][0] <= min(ends)]
    return Sweep(sorted(found, key=lambda each: each.order), complete=not ends)
