"""One connection to Redis or Valkey: several commands in one flush, answers in order, no retry.

Used by everything here that speaks Redis. It never sends a command twice: a lost answer is a
TransientError, and whoever asked must find out what became of it. Not thread-safe.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.exceptions import (
    ConnectionError as Disconnected,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from shared.domain.errors import InvariantBroken, TransientError, UserError
from shared.runtime.backoff import Backoff

# A command that takes longer is lost: the latch must be younger than 500 ms, the lease than 15 s.
TIMEOUT = 1.0
# Redis is back in milliseconds after most failures; a restart with a long log takes seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
# The server closes a connection that is idle for a minute (redis.conf); ours begin anew before.
IDLE_SECONDS = 30.0

Command = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is and as whom to log in; no user and no password: as the default user."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False

    @classmethod
    def parse(cls, url: str, *, username: str = "", password: str = "") -> Address:
        """`redis://HOST:PORT` (or `rediss://`); raises UserError."""
        parts = urlsplit(url)
        try:
            port = parts.port or 6379
        except ValueError:
            port = 0
        if parts.scheme not in ("redis", "rediss") or not parts.hostname or not port:
            raise UserError(
                f"The Redis address {parts.hostname or url!r} must look like redis://HOST:PORT."
            )
        return cls(
            host=parts.hostname,
            port=port,
            username=username or parts.username or "",
            password=password or parts.password or "",
            tls=parts.scheme == "rediss",
        )


class RedisConnection:
    """Connects when first asked and again after a failure; the TransientError says when to."""

    def __init__(self, address: Address, *, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._used_at, self._is_watching = time.monotonic(), False
        kind = redis.SSLConnection if address.tls else redis.Connection
        self._socket: Any = kind(
            host=address.host,
            port=address.port,
            username=address.username or None,
            password=address.password or None,
            protocol=2,
            driver_info=None,
            decode_responses=True,
            encoding_errors="surrogateescape",
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            health_check_interval=0,
        )

    def ask(self, *commands: Command, block: float = 0.0) -> list[Any]:
        """The answers in order, errors of single commands among them as values.

        `block`: seconds for which the server may hold back its answer. Raises TransientError when
        it is away.
        """
        self._renew_if_idle(commands)
        try:
            self._socket.send_packed_command(
                self._socket.pack_commands(commands), check_health=False
            )
            answers = [self._answer(self._timeout + block) for _ in commands]
        except (RedisError, OSError) as error:
            raise self._lost(error) from error
        self._backoff.reset()
        self._used_at = time.monotonic()
        return answers

    def _renew_if_idle(self, commands: Sequence[Command]) -> None:
        """The server may have closed an idle connection; begin anew, unless a WATCH holds on it.

        A MULTI must never run without the WATCH before it, however long this process was stopped
        in between.
        """
        is_idle = time.monotonic() - self._used_at > IDLE_SECONDS
        if is_idle and not self._is_watching:
            self.close()
        for name, *_ in commands:
            if name == "WATCH":
                self._is_watching = True
            elif name in ("EXEC", "UNWATCH", "DISCARD"):
                self._is_watching = False

    def one(self, *command: Any) -> Any:
        """One command's answer; raises what an error answer means (see `refusal`)."""
        return value_of(self.ask(command)[0])

    def send(self, *commands: Command) -> None:
        """Send without waiting; a subscription's answers come through `receive`."""
        try:
            self._socket.send_packed_command(
                self._socket.pack_commands(commands), check_health=False
            )
        except (RedisError, OSError) as error:
            raise self._lost(error) from error

    def receive(self, seconds: float) -> Any:
        """The next push of a subscription within `seconds`, or None."""
        try:
            return self._answer(self._timeout) if self._socket.can_read(timeout=seconds) else None
        except (RedisError, OSError) as error:
            raise self._lost(error) from error

    def close(self) -> None:
        self._socket.disconnect()
        self._is_watching = False

    def _answer(self, timeout: float) -> Any:
        try:
            return self._socket.read_response(timeout=timeout, disconnect_on_error=True)
        except Disconnected:
            raise
        except ResponseError as error:
            return error

    def _lost(self, error: Exception) -> TransientError:
        self.close()
        return TransientError(
            f"Redis does not answer: {error}", retry_after=self._backoff.next_pause()
        )


def refusal(error: ResponseError) -> Exception:
    """What an error answer means: not now (transient), or never (broken invariant)."""
    text = str(error)
    if isinstance(error, NoPermissionError) or text.startswith("WRONGTYPE"):
        return InvariantBroken(f"Redis refuses what our own rights and keys should allow: {text}")
    if text.startswith("NOGROUP"):
        return TransientError("The streams are not there; the init-streams job makes them.")
    return TransientError(f"Redis refuses: {text}")


def value_of(answer: Any) -> Any:
    """The answer itself; raises what an error answer means (see `refusal`)."""
    if isinstance(answer, ResponseError):
        raise refusal(answer) from answer
    return answer


def info_of(connection: RedisConnection, section: str) -> dict[str, str]:
    """A section of INFO by name; raises TransientError."""
    lines = str(connection.one("INFO", section)).splitlines()
    return dict(line.partition(":")[::2] for line in lines if ":" in line)


def pairs(flat: Sequence[str]) -> dict[str, str]:
    """A hash or a stream entry as RESP2 sends it: names and values in turn."""
    return dict(zip(flat[::2], flat[1::2], strict=True))
