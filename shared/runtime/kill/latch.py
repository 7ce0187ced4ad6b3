"""The kill latch: halted or not, known within milliseconds and for as long as it takes, whatever restarts meanwhile.

Every service runs one, in a thread of its own. It hears `kobe:kill`, watches the kill file and the
durable log, and writes what it heard into that log. Nothing it hears can mean resume; that is
kill_resume.py's, the operator's.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.kill.channel import KillLine
from shared.runtime.kill.local_flag import Flag, FlagFiles
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode

LISTEN_SECONDS = 0.1
STALE_SECONDS = 0.5
KEEP_SECONDS = 1.0
LONGEST_WHY = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """The latch as last read, and when the reading began."""

    view: KillView
    why: str
    at: float


NEVER = _Seen(KillView(None, None), "", -math.inf)


class KillLatch:
    """`reasons`, `view` and `halt` may be called from any thread. Without `start` it moves only when refreshed."""

    def __init__(
        self,
        line: KillLine,
        name: ServiceName,
        *,
        mode: Mode,
        state_dir: Path | None = None,
        kill_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._line, self._name, self._mode = line, name.value, mode
        self._files, self._kill_file = FlagFiles(state_dir), kill_file
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._flag = self._files.load()
        self._listened_until, self._kept_at = self._files.listened_until(), -math.inf
        self._listening = self._file_was_there = False
        self._seen = NEVER

    # --- what services ask ------------------------------------------------------------------------

    def reasons(self) -> tuple[str, ...]:
        """Why this service is halted; empty: it is not. Take `view` first if both are needed for a step."""
        seen, flag = self._seen, self._flag
        found = []
        if seen.view.last_id is None or seen.view.cleared_id is None:
            found.append("kill keys absent")
        elif flag or seen.view.halted:
            found.append(f"killed: {flag.why if flag else seen.why}")
        if self._file_stands():
            found.append("kill file")
        if not self._listening:
            found.append("not listening to the kill channel")
        if self._clock.monotonic() - seen.at > STALE_SECONDS:
            found.append("no latch read for 500 ms")
        return tuple(found)

    def view(self) -> KillView:
        """The durable latch as last read; a step committed with it fails if the latch has moved since."""
        return self._seen.view

    def halt(self, why: str) -> None:
        """Halt everybody: known here at once, in the log as soon as Redis takes it."""
        with self._lock:
            self._raise_flag(why)
            self._try(self._log_flag)

    def refresh(self) -> None:
        """Look now. Raises nothing: what cannot be read grows stale, and stale is halted."""
        with self._lock:
            if self._thread is None:
                self._try(self._listen)
            self._watch_file()
            self._try(self._read)

    # --- its own thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Look once before returning, so that the first decision is not taken blind (and so halted)."""
        self.refresh()
        self._thread = threading.Thread(target=self._run, name="kill-latch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self._line.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._try(lambda: self._listen(LISTEN_SECONDS)):
                self._stop.wait(LISTEN_SECONDS)
            self.refresh()

    def _try(self, look: Callable[[], None]) -> bool:
        """A latch that cannot look goes deaf and stale, which halts; it never dies."""
        try:
            look()
            return True
        except TransientError:
            self._listening = False
        except Exception as error:
            self._listening = False
            structlog.get_logger().error("kill_latch_failed", error=repr(error))
        return False

    # --- hearing ----------------------------------------------------------------------------------

    def _listen(self, seconds: float = 0.0) -> None:
        if not self._listening:
            if not self._line.listen():
                self._judge_gap()
            self._listening = True
        payloads = self._line.heard(seconds)
        if payloads:
            self.halt(payloads[0])
        self._keep_listened()

    def _judge_gap(self) -> None:
        """A kill published while nobody listened is lost: live then comes up halted, the others say so and go on."""
        since = self._listened_until
        gap = (self._clock.now() - since).total_seconds() if since else math.inf
        if self._line.covered(gap):
            return
        length = f"for {gap:.1f} s" if since else "before this service's first start"
        if self._mode is Mode.LIVE:
            self.halt(f"nobody listened to the kill channel {length}")
        else:
            structlog.get_logger().warning("kill_gap", gap=length)

    def _keep_listened(self) -> None:
        self._listened_until = self._clock.now()
        if self._clock.monotonic() - self._kept_at >= KEEP_SECONDS:
            self._files.keep_listened_until(self._listened_until)
            self._kept_at = self._clock.monotonic()

    def _watch_file(self) -> None:
        """A touched file is a kill like any other: it goes to the log once, when it appears."""
        stands = self._file_stands()
        if stands and not self._file_was_there:
            self.halt("kill file")
        self._file_was_there = stands

    def _file_stands(self) -> bool:
        try:
            return self._kill_file is not None and self._kill_file.exists()
        except OSError:
            return True

    # --- remembering ------------------------------------------------------------------------------

    def _raise_flag(self, why: str) -> None:
        """Before anything else, and before the log: the flag holds even when Redis is away."""
        self._flag = Flag(why=readable(why))
        self._files.save(self._flag)
        structlog.get_logger().critical("kill_heard", why=self._flag.why)

    def _log_flag(self) -> None:
        if self._flag is not None and not self._flag.id:
            entry_id = self._line.append({"by": self._name, "why": self._flag.why})
            self._flag = Flag(id=entry_id, why=self._flag.why)
            self._files.save(self._flag)

    def _read(self) -> None:
        self._log_flag()
        asked_at = self._clock.monotonic()
        view, why = self._line.read()
        self._seen = _Seen(view, why, asked_at)
        if (
            self._flag
            and view.cleared_id
            and entry_order(self._flag.id) <= entry_order(view.cleared_id)
        ):
            self._flag = None
            self._files.save(None)


def readable(payload: str) -> str:
    """Any payload as a short line for log and people."""
    cut = payload[:LONGEST_WHY]
    return "".join(letter if letter.isprintable() else "?" for letter in cut) or "no reason given"
