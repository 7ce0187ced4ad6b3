"""The one source of time. Business time may be replayed; leases and deadlines never are."""

import datetime as dt
import time
from dataclasses import dataclass, field
from typing import Protocol


class Clock(Protocol):
    def now(self) -> dt.datetime:
        """Business time, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for durations only."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class ManualClock:
    """For tests: time moves only by `advance`."""

    instant: dt.datetime
    elapsed: float = field(default=0.0)

    def now(self) -> dt.datetime:
        return self.instant

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self.elapsed += seconds
        self.instant += dt.timedelta(seconds=seconds)
