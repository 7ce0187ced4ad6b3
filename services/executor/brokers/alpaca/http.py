"""HTTP with one deadline for the whole exchange, and whether a byte had left when it failed.

Used by the Alpaca adapter. Connections are kept alive; an idle one that the server has closed is
noticed before anything is written to it. It never retries, never follows redirects, never reads
more than 1 MiB.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from shared.runtime.crash_points import CrashPoint, reach

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

MAX_BODY = 1 << 20  # the longest list of orders is a tenth of it
CONNECT_SECONDS = 2.0  # leaves three of a POST's five seconds for the answer


class NotSent(Exception):
    """No byte of the request has left: refused, no such host, TLS."""


class Withheld(Exception):
    """The connection is open, and the last look forbade to send; no byte has left."""


class NoAnswer(Exception):
    """The request may have arrived; what came back is nothing, too late, cut off or too long."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    status: int
    headers: Mapping[str, str]
    body: bytes


class _DeadlineReader(io.RawIOBase):
    """Reads a socket until an instant, however slowly the bytes trickle."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _DeadlineSocket:
    """As much of a socket as http.client uses."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.until = 0.0

    def sendall(self, data: ReadableBuffer) -> None:
        self.connection.settimeout(max(0.001, self.until - time.monotonic()))
        self.connection.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_DeadlineReader(self.connection, self.until))

    def close(self) -> None:
        self.connection.close()

    @property
    def idle(self) -> bool:
        """Nothing to read: an idle connection with something to read was closed by its server."""
        return not select.select([self.connection], [], [], 0)[0]


class DeadlineHttp:
    """One kept connection to one host. Not thread-safe."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not an http(s) address")
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = dict(headers)
        self._connection: HTTPConnection | None = None
        self._socket: _DeadlineSocket | None = None

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        seconds: float,
        last_look: Callable[[], str] | None = None,
    ) -> HttpReply:
        """Raises NotSent, Withheld or NoAnswer; any HTTP status is a HttpReply.

        `last_look` is called between the connection and the first byte; a sentence withholds it.
        """
        until = time.monotonic() + seconds
        connection = self._ready(until)
        if last_look and (why := last_look()):
            raise Withheld(why)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, self._prefix + path, body, headers)
            if method == "POST":
                reach(CrashPoint.POST_SENT)
            return self._read(connection.getresponse())
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise NoAnswer(f"{method} {path}: {_reason(error)}") from error

    def close(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = self._socket = None

    def _ready(self, until: float) -> HTTPConnection:
        if self._connection is None or self._socket is None or not self._socket.idle:
            self.close()
            self._connect(until)
        assert self._connection is not None
        assert self._socket is not None
        self._socket.until = until
        return self._connection

    def _connect(self, until: float) -> None:
        seconds = max(0.001, min(CONNECT_SECONDS, until - time.monotonic()))
        connection = (
            HTTPSConnection(self._host, self._port, timeout=seconds, context=self._tls)
            if self._tls
            else HTTPConnection(self._host, self._port, timeout=seconds)
        )
        try:
            connection.connect()
        except (OSError, ValueError) as error:
            connection.close()
            raise NotSent(f"{self._host}: {_reason(error)}") from error
        connection.auto_open = 0
        self._socket = _DeadlineSocket(connection.sock)
        connection.sock = self._socket
        self._connection = connection

    def _read(self, response: HTTPResponse) -> HttpReply:
        body = response.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise HTTPException(f"the body is longer than {MAX_BODY} bytes")
        if response.length:
            raise HTTPException(f"the body was cut off {response.length} bytes before its end")
        if response.will_close:
            self.close()
        headers = {name.lower(): text for name, text in response.getheaders()}
        return HttpReply(response.status, headers, body)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
