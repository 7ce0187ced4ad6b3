"""Business time for a stack that trades with a recorded broker.

Stretches of real pace, and jumps between them.

Chosen by wiring.py, in tests alone: KOBE_TEST_CLOCK is honoured only with KOBE_TEST=1, in mode
paper or sim, and with a broker on this machine or in this compose network. Durations never jump.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.domain.errors import UserError
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.config.environment import USAGE, Environment
from shared.schemas.values import Mode

NAME = "KOBE_TEST_CLOCK"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Business time runs from `start` for so many seconds, at the pace of the wall clock."""

    start: dt.datetime
    seconds: float


@dataclass(frozen=True, slots=True)
class StretchedClock:
    """The stretches follow one another from the wall-clock instant `begun`.

    After the last, time goes on.

    Every process and the recorded broker compute the same time from the same text, without asking.
    """

    begun: dt.datetime
    stretches: tuple[Stretch, ...]

    def now(self) -> dt.datetime:
        passed = (SystemClock().now() - self.begun).total_seconds()
        for stretch in self.stretches[:-1]:
            if passed < stretch.seconds:
                return stretch.start + dt.timedelta(seconds=passed)
            passed -= stretch.seconds
        return self.stretches[-1].start + dt.timedelta(seconds=passed)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @classmethod
    def parse(cls, text: str) -> StretchedClock:
        """`BEGUN|START+SECONDS|START+SECONDS…`, instants with their zone. Raises UserError."""
        try:
            begun, *parts = text.split("|")
            stretches = tuple(_stretch(part) for part in parts)
            clock = cls(dt.datetime.fromisoformat(begun), stretches)
            instants = [clock.begun, *(stretch.start for stretch in stretches)]
            if not stretches or any(instant.tzinfo is None for instant in instants):
                raise ValueError("no stretch, or an instant without a zone")
        except ValueError as error:
            raise UserError(
                f"{NAME} is not BEGUN|START+SECONDS…: {error}.", exit_code=USAGE
            ) from error
        return clock

    def text(self) -> str:
        parts = [f"{each.start.isoformat()}+{each.seconds:g}s" for each in self.stretches]
        return "|".join([self.begun.isoformat(), *parts])


def _stretch(part: str) -> Stretch:
    start, _, seconds = part.rpartition("+")
    return Stretch(dt.datetime.fromisoformat(start), float(seconds.removesuffix("s")))


def is_recorded(url: str) -> bool:
    """Whether a host can only be one of our own.

    This machine, or a bare name of a compose network.
    """
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host != "" and "." not in host


def clock_of(environment: Environment) -> Clock:
    """The system's clock, unless a test with a recorded broker brings its own. Raises UserError."""
    if not environment.test_clock:
        return SystemClock()
    addresses = (environment.broker_url, environment.broker_data_url)
    is_allowed = environment.test and environment.mode is not Mode.LIVE
    if not is_allowed or not all(map(is_recorded, addresses)):
        raise UserError(
            f"{NAME} is for tests with a recorded broker alone: it needs KOBE_TEST=1, another "
            f"mode than live, and "
            "a broker on this machine.",
            exit_code=USAGE,
        )
    return StretchedClock.parse(environment.test_clock)
