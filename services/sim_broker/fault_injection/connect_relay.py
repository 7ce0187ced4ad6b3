"""A relay in front of the broker's port whose connections can be slow to be established.

A listening socket with a full backlog answers no SYN, so a client waits inside connect() until the
relay accepts again: what a distant or overloaded broker looks like. Run under KOBE_TEST=1 alone.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import threading

CHUNK = 1 << 16
QUEUED = 2
"""Connections that fill a backlog of 0 on Linux, which holds one more than it says."""
POLL_SECONDS = 0.05


class ConnectRelay:
    """Listens on `port` of `host` and hands every connection to `target_port` on loopback."""

    def __init__(self, host: str, port: int, target_port: int) -> None:
        self._target = ("127.0.0.1", target_port)
        self._listener = socket.create_server((host, port), backlog=128)
        self._listener.setblocking(False)
        self._address = ("127.0.0.1", self._listener.getsockname()[1])
        self._stopping = threading.Event()
        self._pauses: list[float] = []
        self._thread = threading.Thread(target=self._run, name="connect-relay", daemon=True)

    @property
    def port(self) -> int:
        return int(self._address[1])

    def start(self) -> ConnectRelay:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(timeout=5)
        self._listener.close()

    def slow_connects(self, seconds: float) -> None:
        """Let connections begun from now on wait until `seconds` have passed."""
        self._pauses.append(seconds)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if self._pauses:
                    self._pause(self._pauses.pop(0))
                for _ in selector.select(POLL_SECONDS):
                    self._accept()

    def _pause(self, seconds: float) -> None:
        self._listener.listen(0)
        fillers = [_begin_connection(self._address) for _ in range(QUEUED)]
        self._stopping.wait(seconds)
        self._listener.listen(128)
        for filler in fillers:
            filler.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        """Copy both ways until both are done, then close both ends."""
        with client:
            try:
                broker = socket.create_connection(self._target, timeout=5)
            except OSError:
                return
            with broker:
                for each in (client, broker):
                    each.settimeout(None)
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_copy, args=(broker, client), daemon=True)
                back.start()
                _copy(client, broker)
                back.join()


def _begin_connection(address: tuple[str, int]) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(address)
    return filler


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Copy bytes until the source ends; a reset of one side resets the other."""
    try:
        while chunk := source.recv(CHUNK):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for each in (sink, source):
            _reset(each)


def _reset(connection: socket.socket) -> None:
    """Have the next close send RST, and wake whoever reads."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
