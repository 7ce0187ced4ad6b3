"""Whether the auditor keeps up: nothing is traded for long that the chain does not hold.

Called by the executor's work every few seconds. What readers of our stream were given must be
recorded within the limit, else it halts, once.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import entry_order
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch
from shared.schemas.values import Mode

LOOK_SECONDS = 5.0
"""A look costs two reads of Redis; the limits are many times longer."""
LIMITS = {Mode.LIVE: 30.0, Mode.PAPER: 300.0}
"""Seconds of trading that may be missing from the chain; a sim proves nothing by halting."""


@dataclass
class AuditWatch:
    """`progress` gives the recorded and the delivered entry id of our stream."""

    progress: Callable[[], tuple[str, str]]
    clock: Clock
    latch: Latch
    limit: float | None
    _next: float = 0.0
    _awaited: str = "0"
    _since: float = 0.0
    _halted: bool = False

    def compare_if_due(self) -> None:
        now = self.clock.monotonic()
        if self.limit is None or now < self._next:
            return
        self._next = now + LOOK_SECONDS
        try:
            recorded, delivered = self.progress()
        except TransientError:
            return
        if entry_order(recorded) >= entry_order(self._awaited):
            self._awaited, self._since, self._halted = delivered, now, False
        elif now - self._since > self.limit and not self._halted:
            self._halted = True
            self.latch.halt(f"the auditor has recorded nothing for {now - self._since:.0f} s")
