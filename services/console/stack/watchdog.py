"""Ends a stack whose starter was killed: `python -m services.console.stack.watchdog`.

Started by local_stack.py in a session of its own. It reads lines on stdin: `+PID` and `-PID` as
processes come and go, `!PATH` for what to delete. When stdin ends without a `.`, the starter has
died without stopping anything, and the watchdog does it. It imports nothing but the standard
library.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

GRACE_SECONDS = 5.0
"""Services finish their step and close their files within a second or two."""
DONE = "."


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pids, paths, done = follow(sys.stdin)
    if not done:
        end(pids)
        for path in paths:
            remove(Path(path))


def follow(lines: Iterable[str]) -> tuple[list[int], list[str], bool]:
    """(processes alive, paths to delete, whether the starter has said that it is done)."""
    pids: list[int] = []
    paths: list[str] = []
    for line in lines:
        mark, rest = line[:1], line[1:].rstrip("\n")
        if mark == DONE:
            return pids, paths, True
        if mark == "+":
            pids.append(int(rest))
        elif mark == "-" and int(rest) in pids:
            pids.remove(int(rest))
        elif mark == "!":
            paths.append(rest)
    return pids, paths, False


def end(pids: list[int]) -> None:
    """SIGTERM to all, SIGKILL to those that stay."""
    _signal_all(pids, signal.SIGTERM)
    until = time.monotonic() + GRACE_SECONDS
    while any(map(_is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    _signal_all([pid for pid in pids if _is_alive(pid)], signal.SIGKILL)


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main()
