"""The relay in front of the broker delays new connections and nothing else."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from services.sim_broker.fault_injection.connect_relay import ConnectRelay


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while chunk := self.request.recv(1024):
            self.request.sendall(chunk)


@pytest.fixture
def relay() -> Iterator[ConnectRelay]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.daemon_threads = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = ConnectRelay("127.0.0.1", 0, server.server_address[1]).start()
        yield running
        running.stop()
        server.shutdown()


def connect(relay: ConnectRelay) -> socket.socket:
    return socket.create_connection(("127.0.0.1", relay.port), timeout=20)


def echo(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(1024)


def test_a_slow_connect_holds_new_connections_and_leaves_open_ones_alone(
    relay: ConnectRelay,
) -> None:
    with connect(relay) as before:
        assert echo(before, b"one") == b"one"
        relay.slow_connects(1.0)
        time.sleep(0.2)
        begun = time.monotonic()
        assert echo(before, b"two") == b"two"
        assert time.monotonic() - begun < 0.5
        with connect(relay) as after:
            assert time.monotonic() - begun > 0.7
            assert echo(after, b"three") == b"three"
    with connect(relay) as later:
        assert echo(later, b"four") == b"four"


def test_bytes_and_ends_pass_through(relay: ConnectRelay) -> None:
    with connect(relay) as connection:
        assert echo(connection, b"x" * 1000) == b"x" * 1000
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(10) == b""
