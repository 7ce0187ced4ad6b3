"""A requests session whose every exchange ends by an instant, however slowly its bytes trickle in.

Used by the vendor client. requests bounds the connect and each single read, never their sum: a
server that sends one byte a second would hold a request for ever.
"""

import http.client
import io
import socket
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Deadline:
    """The instant by which the exchange under way must be over; one exchange at a time."""

    def __init__(self) -> None:
        self.until = float("inf")

    def begin(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left. Raises TimeoutError if there are none."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the whole answer took too long")
        return left


class _Reader(io.RawIOBase):
    """Reads a socket, never waiting beyond the deadline nor longer than its own timeout."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection, self._deadline = connection, deadline
        self._longest = connection.gettimeout()
        # A file object of the socket's own keeps it open until the answer has been read.
        self._file = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline.left
        self._connection.settimeout(min(left, self._longest) if self._longest else left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()


def _response_class(deadline: Deadline) -> type[http.client.HTTPResponse]:
    class Response(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
            super().__init__(sock, *args, **options)
            self.fp.close()
            self.fp = io.BufferedReader(_Reader(sock, deadline))

    return Response


class _Adapter(HTTPAdapter):
    """Makes connections that read by the deadline."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__(max_retries=0)

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **options: Any
    ) -> None:
        response = _response_class(self._deadline)

        class Plain(HTTPConnection):
            response_class = response

        class Secure(HTTPSConnection):
            response_class = response

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        manager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **options)
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
        self.poolmanager = manager


def deadline_session() -> tuple[requests.Session, Deadline]:
    """A session of one thread, and the deadline of its next exchange."""
    deadline = Deadline()
    session = requests.Session()
    session.trust_env = False  # neither proxies nor .netrc passwords by accident
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(deadline))
    return session, deadline
