"""Whether this machine's clock agrees with the broker's, compared at start and every ten seconds.

Called by the executor's work. An approval lives for seconds, so a clock that is off halts.
"""

from dataclasses import dataclass

from services.executor.brokers.protocol import Broker
from shared.domain.errors import TransientError
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.log import Log

COMPARE_SECONDS = 10.0
WARN_SECONDS, HALT_SECONDS = 1.0, 2.0
"""Entries live for 15 s; a clock two seconds off would let one live visibly longer."""


@dataclass
class ClockWatch:
    broker: Broker
    clock: Clock
    latch: Latch
    log: Log
    _next: float = 0.0
    _halted: bool = False

    def compare(self) -> None:
        """Halt once for a clock that is off; raises TransientError if the broker is away."""
        self._next = self.clock.monotonic() + COMPARE_SECONDS
        before = self.clock.now()
        theirs = self.broker.clock().at
        middle = before + (self.clock.now() - before) / 2
        skew = abs((theirs - middle).total_seconds())
        if skew > HALT_SECONDS and not self._halted:
            self.latch.halt(f"this clock and the broker's differ by {skew:.1f} s")
        elif skew > WARN_SECONDS:
            self.log.warning("clock_skew", seconds=round(skew, 3))
        self._halted = skew > HALT_SECONDS

    def compare_if_due(self) -> None:
        """A broker that does not answer is compared with ten seconds later."""
        if self.clock.monotonic() < self._next:
            return
        try:
            self.compare()
        except TransientError as error:
            self.log.warning("clock_not_compared", error=str(error))
