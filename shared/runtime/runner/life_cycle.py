"""The life of every service on the bus: win the lease, recover, take turns, begin again.

Start-up is recovery: after any failure of the world the loop begins again at the lease with the
state read anew. Used by the runner and by the auditor's recorder.
"""

from threading import Event
from typing import Protocol

from shared.domain.errors import TransientError
from shared.runtime.backoff import Backoff
from shared.runtime.bus.protocol import Bus, Fenced, StateRecord
from shared.runtime.clock import Clock
from shared.runtime.observability.health_server import Health
from shared.runtime.observability.log import Log

# A fifth of the lease's 15 s: four renewals may be late before it is lost.
RENEW_SECONDS = 3.0
# How soon a standby notices a free lease; well within the 25 s a take-over may last.
STANDBY_SECONDS = 1.0
# Redis and the broker are mostly back within a second; every 5 s is gentle enough for an outage.
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


class Loop(Protocol):
    """What a service does with its life."""

    def start(self) -> bool:
        """Win the lease and recover; False while another instance is active."""
        ...

    def turn(self) -> object: ...

    def pause(self) -> float:
        """Seconds to rest before the next turn."""
        ...

    def finish(self) -> None:
        """Called after the last turn, once `stop` is set; gives the lease back."""
        ...


class LifeCycle:
    """Lease, heartbeat and readiness of one service."""

    def __init__(self, bus: Bus, clock: Clock, health: Health, log: Log) -> None:
        self._bus, self._clock, self._health, self._log = bus, clock, health, log
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._renewed_at = 0.0

    def run(self, loop: Loop, stop: Event) -> None:
        """Live until `stop` is set.

        Raises InvariantBroken, and whatever a handler could not foresee.
        """
        while not stop.is_set():
            try:
                self._live(loop, stop)
            except TransientError as error:
                self._health.mark_unready("transient", str(error))
                pause = self._backoff.next_pause()
                self._log.warning(
                    "transient_error", error=str(error), failures=self._backoff.failures
                )
                stop.wait(error.retry_after or pause)
            except Fenced:
                self._health.mark_unready("lease", "standby: another instance took the lease")
                self._log.warning("lease_lost")

    def _live(self, loop: Loop, stop: Event) -> None:
        while not loop.start():
            if stop.wait(STANDBY_SECONDS):
                return
        while not stop.is_set():
            loop.turn()
            self._backoff.reset()
            if pause := loop.pause():
                stop.wait(pause)
        loop.finish()

    def take_lease(self) -> StateRecord | None:
        """The state, if the lease is now ours; None while another instance holds it."""
        self._health.beat()
        record = self._bus.acquire()
        if record is None:
            self._health.mark_unready("lease", "standby: another instance holds the lease")
            self._health.mark_ready("starting")
        self._renewed_at = self._clock.monotonic()
        return record

    def announce_start(self, **facts: object) -> None:
        """Recovery is done: ready, and said so in the log."""
        for topic in ("starting", "lease", "transient"):
            self._health.mark_ready(topic)
        self._log.info("runner_start", **facts)

    def keep_alive(self) -> None:
        """Beat, and renew the lease when it is time; raises Fenced if it is lost."""
        self._health.beat()
        if self._clock.monotonic() - self._renewed_at >= RENEW_SECONDS:
            self._bus.renew()
            self._renewed_at = self._clock.monotonic()
