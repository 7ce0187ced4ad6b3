"""The paper stack as processes of this machine.

A supervisor in the background that keeps its services running.

Started and stopped by `kobe paper`; `python -m services.console.stack.paper_stack FOLDER` is the
supervisor. Docker runs the same services by compose/paper.yml.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from services.console.stack.address import DEMO_FILE
from services.console.stack.local_stack import ORDER, SIM_BROKER, EmbeddedStack
from shared.domain.errors import UserError
from shared.runtime.atomic_file import remove_file, write_file
from shared.runtime.backoff import Backoff
from shared.runtime.config.environment import read_environment

FOLDER = Path("state/paper")
PID_FILE = "supervisor.pid"
LOOK_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a service that ended is started again; a wrong key ends it at once each time."""
KEYS = {
    "executor": ("ALPACA_API_KEY_ID", "ALPACA_API_SECRET_KEY"),
    "data-fetcher": (
        "ALPACA_API_KEY_ID",
        "ALPACA_API_SECRET_KEY",
        "MASSIVE_API_KEY",
        "POLYGON_API_KEY",
    ),
}
PASSED_ON = ("KOBE_MASSIVE_URL", "KOBE_TEST", "KOBE_TEST_CLOCK", "KOBE_ACCOUNT")


def paper_stack(folder: Path, environ: Mapping[str, str]) -> EmbeddedStack:
    """The stack of mode paper in a folder of its own.

    Keys go to the services that need them alone.
    """
    environment = read_environment({**environ, "KOBE_MODE": "paper"})
    shared_variables = {
        "KOBE_MODE": "paper",
        "KOBE_BROKER_URL": environment.broker_url,
        "KOBE_BROKER_DATA_URL": environment.broker_data_url,
        "KOBE_BROKER_STREAM_URL": environment.broker_stream_url,
        **{name: environ[name] for name in PASSED_ON if environ.get(name)},
        **({"KOBE_CONFIG": environ["KOBE_CONFIG"]} if environ.get("KOBE_CONFIG") else {}),
    }
    own = {
        service: {name: environ[name] for name in names if environ.get(name)}
        for service, names in KEYS.items()
    }
    return EmbeddedStack(
        folder.absolute(),
        environ=shared_variables,
        own=own,
        services=tuple(name for name in ORDER if name != SIM_BROKER),
    )


@dataclass
class Supervisor:
    """Starts the stack, says where it is, and starts again what ends."""

    stack: EmbeddedStack
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to stop. Raises UserError if the stack does not come up."""
        pauses = {name: Backoff(FIRST_PAUSE, LONGEST_PAUSE) for name in self.stack.services}
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        with self.stack:
            self.stack.announce(DEMO_FILE)
            self.stack.announce(self.stack.folder / "address.json")
            while not self.stop.wait(LOOK_SECONDS):
                self._revive(pauses)
        for file in (DEMO_FILE, self.stack.folder / "address.json"):
            file.unlink(missing_ok=True)

    def _revive(self, pauses: dict[str, Backoff]) -> None:
        for name, process in list(self.stack.processes.items()):
            if process.poll() is None or name not in pauses:
                continue
            print(f"{name} ended with exit code {process.returncode}; it is started again.")
            self.stop.wait(pauses[name].next_pause())
            self.stack.start_service(name)


def supervisor_pid(folder: Path) -> int | None:
    """The running supervisor's process, or None."""
    try:
        pid = int((folder / PID_FILE).read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def main() -> int:
    """The supervisor; the exit code."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / PID_FILE, str(os.getpid()))
    # The services take what they need from the stack, nothing from this process's own environment.
    environ = dict(os.environ)
    for name in [*os.environ]:
        if name.startswith(("KOBE_", "ALPACA_", "MASSIVE_", "POLYGON_")):
            del os.environ[name]
    try:
        Supervisor(paper_stack(folder, environ)).run()
    except UserError as error:
        print(f"kobe: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        with suppress(OSError):
            remove_file(folder / PID_FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
