"""Fakes that several suites share."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class KeptLog:
    """A log that keeps its lines: (event, fields)."""

    lines: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.lines]

    def info(self, event: str, /, **fields: object) -> None:
        self.lines.append((event, fields))

    warning = error = critical = info
