"""The bus as services see it: read a batch; commit state, messages and acks in one atomic step.

Implemented by RedisBus (production) and MemoryBus (replay and tests); one contract suite holds both
to this page.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.schemas.streams import Stream

Fields = Mapping[str, str]


class Conflict(Exception):
    """The step was not taken: state, lease or kill latch moved in between. Reload, decide anew."""


class Fenced(Exception):
    """Another instance holds the lease; this one may write nothing more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One stream entry; `deliveries` counts this delivery too."""

    stream: Stream
    entry_id: str
    fields: Fields
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class KillView:
    """The latch's two keys, verbatim: None where one is absent or unreadable (which halts).

    `last_id` is the end of the kill log; what the resume `record` clears, kill/record.py says.
    """

    last_id: str | None
    record: str | None


def entry_order(entry_id: str) -> tuple[int, int]:
    """Stream ids compare as two numbers."""
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A service's hash; `version` grows by one with every step, `fence` with every new holder."""

    fields: Fields
    version: int
    fence: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    entry: Entry
    reason: str


@dataclass(frozen=True, slots=True)
class Step:
    """What leaves in one MULTI, or not at all.

    `kill` given: the step holds only if the kill latch still reads so. `version` is the state it
    was decided on.
    """

    version: int
    changed: Fields = field(default_factory=dict)
    removed: Sequence[str] = ()
    outputs: Sequence[tuple[Stream, Fields]] = ()
    acks: Sequence[Entry] = ()
    dead: Sequence[DeadLetter] = ()
    kill: KillView | None = None


class Bus(Protocol):
    """One service's access. Not thread-safe; the kill latch listens on a connection of its own."""

    def acquire(self) -> StateRecord | None:
        """Take the lease (fence + 1) and read the state; None while another instance holds it."""
        ...

    def renew(self) -> None:
        """Prolong the lease; raises Fenced if it is lost."""
        ...

    def lease_left(self) -> float:
        """Seconds for which the lease is surely ours; side effects need a margin."""
        ...

    def release(self) -> None: ...

    def load(self) -> StateRecord:
        """The state again, after a Conflict."""
        ...

    def read(self, *, count: int, block_ms: int) -> list[Entry]:
        """Own pending entries first, then dead replicas', then new ones; in the order of READS.

        Blocks at most `block_ms` (<= 2000) when nothing is there. Raises TransientError when the
        server is away.
        """
        ...

    def commit(self, step: Step) -> None:
        """Take the step.

        Raises Conflict (decide anew), Fenced (stop), TransientError (taken or not is unknown:
        reload).
        """
        ...

    def kill_view(self) -> KillView: ...

    def append_kill(self, fields: Fields) -> str:
        """Append to the durable kill log; the id of the entry."""
        ...

    def stream_after(self, stream: str, after: str, count: int) -> Iterator[tuple[str, Fields]]:
        """Entries of any stream after an id, by position, without a group (auditor, console)."""
        ...

    def trim(self, stream: Stream, before: str) -> int:
        """Drop the writer's own entries before an id; the number dropped."""
        ...

    def audit_progress(self, stream: Stream) -> tuple[str, str]:
        """How far the auditor has recorded the writer's stream.

        And how far readers were given it.
        """
        ...
