"""How many requests the broker takes in any minute, some kept for look-ups and cancels.

Used by the Alpaca adapter. A window that slides, not a bucket that refills: in no 60 seconds are
there more.
"""

from collections import deque

from shared.runtime.clock import Clock

WINDOW_SECONDS = 60.0


class RequestWindow:
    def __init__(self, *, per_minute: int, reserved: int, clock: Clock) -> None:
        self._per_minute, self._reserved, self._clock = per_minute, reserved, clock
        self._sent: deque[float] = deque()
        self._closed_until = 0.0

    def wait(self, *, order: bool) -> float:
        """Seconds until such a request may leave; 0 if now. New orders leave the reserve alone."""
        now = self._clock.monotonic()
        while self._sent and now - self._sent[0] >= WINDOW_SECONDS:
            self._sent.popleft()
        allowed = self._per_minute - (self._reserved if order else 0)
        excess = len(self._sent) - allowed
        full = self._sent[excess] + WINDOW_SECONDS - now if excess >= 0 else 0.0
        return max(0.0, full, self._closed_until - now)

    def spend(self) -> None:
        self._sent.append(self._clock.monotonic())

    def close(self, seconds: float) -> None:
        """The broker says: too many. Nothing leaves for so long."""
        self._closed_until = max(self._closed_until, self._clock.monotonic() + seconds)
