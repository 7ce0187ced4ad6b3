"""Whether every writer's numbers run without a gap. Pure; the same count whoever counts.

Two streams of one writer may be read a little out of turn: a number that is ahead waits for those
before it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.auditor.chain.record import NotCanonical
from shared.schemas.json_types import JsonMapping, JsonObject

GAP = "WriterGap"


@dataclass(frozen=True, slots=True)
class Gap:
    """WriterSequences that never came (`missing`), or came again (`repeated`)."""

    writer: str
    kind: str
    first: int
    last: int

    def payload(self, at: str) -> JsonObject:
        """The record that notes it; `subject` and not `writer`, for the writer did not say this."""
        facts = {"subject": self.writer, "kind": self.kind, "first": self.first, "last": self.last}
        return {"type": GAP, "at": at, **facts}


def read_gap(payload: JsonMapping) -> Gap:
    """What such a record notes; raises NotCanonical if it does not say."""
    try:
        return Gap(payload["subject"], payload["kind"], payload["first"], payload["last"])
    except KeyError as error:
        raise NotCanonical(f"a gap without {error}") from error


@dataclass(slots=True)
class WriterSequence:
    """One writer: all up to `last` came or are noted as missing; `ahead` came before their turn."""

    last: int = 0
    ahead: set[int] = field(default_factory=set)
    awaited: int = 0

    def add(self, seq: int) -> bool:
        """Count one number; False for one that was there before."""
        if seq == self.last + 1 and not self.ahead:
            self.last = seq
            return True
        if seq <= self.last or seq in self.ahead:
            return False
        self.ahead.add(seq)
        self.catch_up()
        return True

    def catch_up(self) -> None:
        while self.last + 1 in self.ahead:
            self.last += 1
            self.ahead.remove(self.last)

    def next_missing(self) -> tuple[int, int] | None:
        return (self.last + 1, min(self.ahead) - 1) if self.ahead else None

    def skip_to(self, seq: int) -> None:
        self.last = max(self.last, seq)
        self.ahead = {number for number in self.ahead if number > self.last}
        self.catch_up()


class WriterSequences:
    """All writers, by name. Grows in place."""

    def __init__(self, saved: Mapping[str, Iterable[int]] | None = None) -> None:
        self._writers: dict[str, WriterSequence] = {}
        for writer, (last, *ahead) in (saved or {}).items():
            self._writers[writer] = WriterSequence(last, set(ahead))

    def to_lists(self) -> dict[str, list[int]]:
        """Writer -> its last number, then those ahead of their turn."""
        return {writer: [each.last, *sorted(each.ahead)] for writer, each in self._writers.items()}

    def add(self, payload: JsonMapping) -> Gap | None:
        """Count a record's number, if it has one; a gap if the number was there before."""
        if "seq" in payload:
            writer, seq = payload["writer"], payload["seq"]
            sequence = self._writers.get(writer) or self._writers.setdefault(
                writer, WriterSequence()
            )
            return None if sequence.add(seq) else Gap(writer, "repeated", seq, seq)
        if payload.get("type") == GAP and payload["kind"] == "missing":
            self._writers.setdefault(payload["subject"], WriterSequence()).skip_to(payload["last"])
        return None

    def missing_gaps(self) -> list[Gap]:
        """What lies between the numbers that came, as it stands."""
        return [
            Gap(writer, "missing", *first)
            for writer, sequence in self._writers.items()
            if (first := sequence.next_missing())
        ]

    def overdue_gaps(self) -> list[Gap]:
        """Numbers missing since the call before; call after each complete reading of all streams.

        A writer's numbers appear in order, so what one whole reading after a later number does not
        show was never said, or is gone.
        """
        found = [
            gap for gap in self.missing_gaps() if gap.first <= self._writers[gap.writer].awaited
        ]
        for sequence in self._writers.values():
            sequence.awaited = max(sequence.ahead, default=0)
        return found
