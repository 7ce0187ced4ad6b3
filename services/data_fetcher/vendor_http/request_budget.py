"""How many requests a vendor takes from one key, shared by all processes that use it.

A token bucket.

Asked by the vendor client before each request. The bucket is one number, the time at which it would
be full again (GCRA), so that any store that can compare and set holds it: Redis where there is one,
else this process.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import Protocol

from shared.domain.errors import TransientError
from shared.runtime.bus.redis_connection import RedisConnection, value_of
from shared.runtime.clock import Clock
from shared.schemas.streams import VENDOR_BUDGET

MINUTE = 60.0
BURST_SHARE = 5
"""One request in so many may come at once; the others are spread over the minute."""
ATTEMPTS = 50
"""Times a contended bucket is tried; each loser of a race means that another process won it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """In no minute are there more requests than `per_minute`.

    A burst, and a steady trickle of the rest.
    """

    per_minute: int

    @property
    def burst(self) -> int:
        return max(1, self.per_minute // BURST_SHARE)

    @property
    def interval(self) -> float:
        """Seconds between two requests once the burst is spent."""
        return MINUTE / max(1, self.per_minute - self.burst + (self.burst == 1))


def take(rate: Rate, full_at: float, now: float, patience: float) -> tuple[float, float | None]:
    """Seconds to wait before the request may leave, and when the bucket is full then.

    None instead of the latter where the wait is longer than `patience`: then nothing is taken.
    """
    then = max(full_at, now) + rate.interval
    wait = max(0.0, then - now - rate.interval * rate.burst)
    return wait, then if wait <= patience else None


def close_for(rate: Rate, full_at: float, now: float, seconds: float) -> float:
    """When a bucket is full from which nothing may be taken for so long (the vendor says.

    Too many).
    """
    return max(full_at, now + seconds + rate.interval * (rate.burst - 1))


class RequestBudget(Protocol):
    def take(self, patience: float) -> float:
        """Take one request.

        The seconds to wait before it may leave. Raises TransientError beyond `patience`.
        """
        ...

    def close(self, seconds: float) -> None:
        """Let nothing leave for so long."""
        ...


class Unlimited:
    """For vendors that count no requests."""

    def take(self, patience: float) -> float:
        return 0.0

    def close(self, seconds: float) -> None:
        """Whoever was refused waits by itself."""


class LocalBudget:
    """Shared by the threads of this process alone: for commands that run where no stack does."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._full_at = 0.0
        self._lock = threading.Lock()

    def take(self, patience: float) -> float:
        with self._lock:
            wait, full_at = take(self._rate, self._full_at, self._clock.monotonic(), patience)
            self._full_at = _unless_too_long(full_at, wait)
            return wait

    def close(self, seconds: float) -> None:
        with self._lock:
            self._full_at = close_for(self._rate, self._full_at, self._clock.monotonic(), seconds)


class RedisBudget:
    """One bucket for every process that asks `vendor` with the same key; time is the server's."""

    def __init__(self, rate: Rate, connection: RedisConnection, vendor: str, key: str) -> None:
        self._rate, self._redis = rate, connection
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        self._key = f"{VENDOR_BUDGET}{vendor}:{digest}"
        self._lock = threading.Lock()

    def take(self, patience: float) -> float:
        with self._lock:
            for _ in range(ATTEMPTS):
                stored, now = self._watch()
                wait, full_at = take(self._rate, stored, now, patience)
                if self._replace(_unless_too_long(full_at, wait), now):
                    return wait
        raise TransientError("the vendor's request budget is contended", retry_after=1.0)

    def close(self, seconds: float) -> None:
        with self._lock:
            for _ in range(ATTEMPTS):
                stored, now = self._watch()
                if self._replace(close_for(self._rate, stored, now, seconds), now):
                    return

    def _watch(self) -> tuple[float, float]:
        """When the bucket is full, and the server's time.

        A change of it from here on is noticed.
        """
        answers = [
            value_of(answer)
            for answer in self._redis.ask(("WATCH", self._key), ("GET", self._key), ("TIME",))
        ]
        seconds, microseconds = answers[2]
        return float(answers[1] or 0.0), int(seconds) + int(microseconds) / 1e6

    def _replace(self, full_at: float, now: float) -> bool:
        expires = max(1, int((full_at - now) * 1000) + 1000)
        answers = self._redis.ask(
            ("MULTI",), ("SET", self._key, repr(full_at), "PX", expires), ("EXEC",)
        )
        return value_of(answers[-1]) is not None


def _unless_too_long(full_at: float | None, wait: float) -> float:
    if full_at is None:
        raise TransientError(
            f"the vendor's requests are used up for {wait:.0f} s", retry_after=wait
        )
    return full_at
