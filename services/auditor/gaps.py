"""Whether a writer's numbers run without a gap. Two streams of one writer may be read a little out of turn."""

from __future__ import annotations

from dataclasses import dataclass, field

PATIENCE = 64


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers that never came (`missing`), or came again (`repeated`)."""

    writer: str
    kind: str
    first: int
    last: int

    def facts(self) -> dict[str, object]:
        return {"subject": self.writer, "kind": self.kind, "first": self.first, "last": self.last}


@dataclass(slots=True)
class Sequence:
    """`last`: every number up to it has come or was noted as missing. `ahead` came before their turn."""

    last: int
    ahead: set[int] = field(default_factory=set)
    waited: int = 0

    def take(self, writer: str, seq: int) -> list[Gap]:
        """Count one number; a repeated one is noted."""
        if seq <= self.last or seq in self.ahead:
            return [Gap(writer, "repeated", seq, seq)]
        self.ahead.add(seq)
        self._catch_up()
        return []

    def overdue(self, writer: str) -> list[Gap]:
        """What has been waited for in vain, once."""
        if not self.ahead:
            self.waited = 0
            return []
        self.waited += 1
        if self.waited < PATIENCE:
            return []
        gap = Gap(writer, "missing", self.last + 1, min(self.ahead) - 1)
        self.last = min(self.ahead) - 1
        self.waited = 0
        self._catch_up()
        return [gap]

    def _catch_up(self) -> None:
        while self.last + 1 in self.ahead:
            self.last += 1
            self.ahead.remove(self.last)
