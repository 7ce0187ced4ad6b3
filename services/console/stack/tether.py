"""Ties processes to the life of their starter: killed with -9, it takes them with it.

Used by local_stack.py. The other end is watchdog.py, which notices the end of a pipe; so it works
wherever there are pipes.
"""

import contextlib
import subprocess
import sys
from pathlib import Path

MODULE = "services.console.stack.watchdog"
PATIENCE_SECONDS = 5.0
"""The watchdog has nothing to do but read one line and end."""


class Tether:
    """Tell it of every process and of every file that must not outlive us."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """In a session of its own, so that no Ctrl-C or closed terminal reaches it."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def add(self, pid: int) -> None:
        self._write(f"+{pid}")

    def drop(self, pid: int) -> None:
        self._write(f"-{pid}")

    def delete(self, path: Path) -> None:
        """Delete it if we are killed."""
        self._write(f"!{path.absolute()}")

    def release(self) -> None:
        """All has been stopped in order."""
        if self._process is None:
            return
        self._write(".")
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _write(self, line: str) -> None:
        """A watchdog that has died takes nobody with it: the stack goes on untied."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
