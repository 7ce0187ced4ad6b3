"""The kill latch: halted or not, known within milliseconds, whatever restarts meanwhile.

Every service runs one, in a thread of its own. It hears `kobe:kill`, watches the kill file and the
durable log, writes what it heard into that log and reports where it stands. Nothing it hears can
mean resume; only a record signed by the operator does (record.py).
"""

import math
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from shared.domain.errors import TransientError
from shared.runtime.bus.protocol import KillView, entry_order
from shared.runtime.clock import Clock, SystemClock
from shared.runtime.kill.line import KillLine
from shared.runtime.kill.local_memory import Flag, Knowledge, LocalMemory
from shared.runtime.kill.record import KEYS_ABSENT, NOTHING, ResumeCheck
from shared.runtime.kill.status import LIVES_SECONDS, REPORT_SECONDS, LatchStatus, to_hash
from shared.runtime.observability.log import logger
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode

# How long one look at the channel may wait; the file and the log are looked at as often.
LISTEN_SECONDS = 0.1
# The bound of the last look before an order: older knowledge is none.
STALE_SECONDS = 0.5
# How often the instant of the last look is written down; a gap is known to this exactness.
KEEP_SECONDS = 1.0
# A flood of kills is three entries a second, so each is in the log within a second.
MOST_ENTRIES, WITHIN_SECONDS = 3, 1.0
# A line of a log and of a terminal.
LONGEST_WHY = 200

NOT_LISTENING = "not listening to the kill channel"
STALE = "no latch read for 500 ms"
KILL_FILE = "kill file"


@dataclass(frozen=True, slots=True)
class _Look:
    """The latch as last read, when the reading began, and what was made of it.

    The signature is checked when the keys change: `reasons` is asked before every order.
    """

    view: KillView
    at: float
    reason: str | None
    cleared_id: str


NEVER = _Look(KillView(None, None), -math.inf, KEYS_ABSENT, NOTHING)


class KillLatch:
    """`reasons`, `view` and `halt` may be called from any thread.

    Without `start` it moves only when refreshed.
    """

    def __init__(
        self,
        line: KillLine,
        service: ServiceName,
        *,
        check: ResumeCheck,
        state_dir: Path | None = None,
        kill_file: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._line, self._service, self._check = line, service.value, check
        self._memory, self._kill_file = LocalMemory(state_dir), kill_file
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._flag = self._memory.flag()
        self._knowledge = self._memory.knowledge()
        self._is_listening = False
        self._run = ""
        self._look = NEVER
        self._kept_at = self._reported_at = -math.inf
        self._logged_at: deque[float] = deque(maxlen=MOST_ENTRIES)
        self._reported: tuple[str, tuple[str, ...]] | None = None
        self._failure = ""

    # --- what services ask ------------------------------------------------------------------------

    def reasons(self) -> tuple[str, ...]:
        """Why this service is halted; empty: it is not. Take `view` first if a step needs both."""
        look, flag = self._look, self._flag
        found = [f"killed: {flag.why}"] if flag else []
        reason = look.reason
        if reason and not (flag and reason.startswith("killed: ")):
            found.insert(0, reason)
        if regress := self._regress(look.view):
            found.append(regress)
        if self._is_file_there():
            found.append(KILL_FILE)
        if not self._is_listening:
            found.append(NOT_LISTENING)
        if self._clock.monotonic() - look.at > STALE_SECONDS:
            found.append(STALE)
        return tuple(found)

    def view(self) -> KillView:
        """The two keys as last read; a step committed with them fails if they have moved since."""
        return self._look.view

    def halt(self, why: str) -> None:
        """Halt everybody: known here at once, in the log as soon as Redis takes it.

        While an earlier kill still waits for the log, its entry stands for this one, too.
        """
        with self._lock:
            if self._flag is None or self._flag.id:
                self._raise_flag(why)
            self._attempt(self._log_flag)

    def refresh(self) -> None:
        """Look now. Raises nothing: what cannot be read grows stale, and stale is halted."""
        with self._lock:
            if self._thread is None:
                self._attempt(self._listen)
            self._watch_file()
            self._attempt(self._read)
            self._report()

    # --- its own thread ---------------------------------------------------------------------------

    def start(self) -> None:
        """Look once before returning, so that the first decision is not taken blind."""
        self.refresh()
        self._thread = threading.Thread(target=self._live, name="kill-latch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
        self._line.close()

    def _live(self) -> None:
        while not self._stop.is_set():
            if not self._attempt(lambda: self._listen(LISTEN_SECONDS)):
                self._stop.wait(LISTEN_SECONDS)
            self.refresh()

    def _attempt(self, look: Callable[[], None]) -> bool:
        """A latch that cannot look goes deaf and stale, which halts; it never dies."""
        try:
            look()
        except TransientError:
            self._is_listening = False
            return False
        except Exception as error:  # noqa: BLE001  a latch that fails is halted
            self._is_listening = False
            self._complain(repr(error))
            return False
        return True

    def _complain(self, failure: str) -> None:
        """Say it once, not ten times a second."""
        if failure != self._failure:
            self._failure = failure
            logger().error("kill_latch_failed", error=failure)

    # --- hearing ----------------------------------------------------------------------------------

    def _listen(self, seconds: float = 0.0) -> None:
        if not self._is_listening:
            with self._lock:
                if not self._line.listen():
                    self._judge_gap()
                self._is_listening = True
        payloads = self._line.receive(seconds)
        if payloads:
            self.halt(payloads[0])
        self._keep_knowledge()

    def _judge_gap(self) -> None:
        """A kill published while nobody listened is lost: what is to be thought of that.

        Cut off while the server lived: that may have been a kill. Otherwise the server, or this
        service, was down: live comes up halted, the others say so and go on.
        """
        since, run = self._knowledge.listened_until, self._line.server_run()
        was_cut_off, self._run = run == self._run, run
        gap = (self._clock.now() - since).total_seconds() if since else math.inf
        if self._line.is_covered(gap):
            return
        length = f"for {gap:.1f} s" if since else "before this service's first start"
        if was_cut_off or self._check.mode is Mode.LIVE:
            cause = "cut off from the server; " if was_cut_off else ""
            self._halt_for_gap(f"{cause}nobody listened to the kill channel {length}")
        else:
            logger().warning("kill_gap", gap=length)

    def _halt_for_gap(self, why: str) -> None:
        """With the number of our ear: whoever starts later trusts it and halts nobody again."""
        self._raise_flag(why, ear=self._line.ear_id(), run=self._run)
        self._log_flag()

    def _keep_knowledge(self) -> None:
        known = self._knowledge.last_id
        newest = max(self._look.view.last_id or "", known, key=_order)
        self._knowledge = Knowledge(listened_until=self._clock.now(), last_id=newest)
        if newest != known or self._clock.monotonic() - self._kept_at >= KEEP_SECONDS:
            self._memory.keep_knowledge(self._knowledge)
            self._kept_at = self._clock.monotonic()

    def _regress(self, view: KillView) -> str:
        """Why an older server than the one we knew halts; "" if it is not older."""
        known = self._knowledge.last_id
        if view.last_id is None or _order(view.last_id) >= _order(known):
            return ""
        return f"redis_regressed: the kill log ends at {view.last_id}, before {known}"

    def _watch_file(self) -> None:
        """A touched file is a kill like any other: it goes to the log, and again if it is cleared.

        So a file must be removed and then resumed from, in this order.
        """
        if self._flag is None and self._is_file_there():
            self.halt(KILL_FILE)

    def _is_file_there(self) -> bool:
        try:
            return self._kill_file is not None and self._kill_file.exists()
        except OSError:
            return True

    # --- remembering ------------------------------------------------------------------------------

    def _raise_flag(self, why: str, *, ear: str = "", run: str = "") -> None:
        """Before anything else, and before the log: the flag holds even when Redis is away."""
        self._flag = Flag(why=readable(why), ear=ear, run=run)
        self._memory.save_flag(self._flag)
        logger().critical("kill_heard", why=self._flag.why)

    def _log_flag(self) -> None:
        flag, now = self._flag, self._clock.monotonic()
        is_flood = (
            len(self._logged_at) == MOST_ENTRIES and now - self._logged_at[0] < WITHIN_SECONDS
        )
        if flag is None or flag.id or is_flood:
            return
        fields = {"by": self._service, "why": flag.why, "ear": flag.ear, "run": flag.run}
        entry_id = self._line.append({name: text for name, text in fields.items() if text})
        self._logged_at.append(now)
        self._flag = replace(flag, id=entry_id)
        self._memory.save_flag(self._flag)

    def _read(self) -> None:
        asked_at = self._clock.monotonic()
        view, why = self._line.read()
        if view == self._look.view:
            self._look = replace(self._look, at=asked_at)
        else:
            reason, cleared_id = self._check.reason(view, why), self._check.obeyed_id(view)
            self._look = _Look(view, asked_at, reason, cleared_id)
        self._clear_flag(self._look.cleared_id)
        self._log_flag()

    def _clear_flag(self, cleared_id: str) -> None:
        """Only by a record that is obeyed, and only up to the kill that its author saw."""
        flag = self._flag
        if flag and flag.id and _order(flag.id) <= _order(cleared_id):
            self._flag = None
            self._memory.save_flag(None)

    # --- reporting --------------------------------------------------------------------------------

    def _report(self) -> None:
        """Tell the operator where this latch stands; it may fail, for it decides nothing."""
        now, seen_id, reasons = self._clock.monotonic(), self._look.view.last_id, self.reasons()
        is_news = self._reported != (seen_id, reasons)
        if seen_id is None or not (is_news or now - self._reported_at >= REPORT_SECONDS):
            return
        status = LatchStatus(
            mode=self._check.mode,
            account=self._check.account,
            seen_id=seen_id,
            reasons=reasons,
            at=self._clock.now(),
        )
        try:
            self._line.report(to_hash(status), LIVES_SECONDS)
        except Exception as error:  # noqa: BLE001  a latch that fails is halted
            self._complain(repr(error))
            return
        self._reported, self._reported_at = (seen_id, reasons), now


def _order(entry_id: str) -> tuple[int, int]:
    """As numbers; what is no id comes before all of them."""
    try:
        return entry_order(entry_id)
    except ValueError:
        return (-1, -1)


def readable(payload: str) -> str:
    """Any payload as a short line for log and people."""
    cut = payload[:LONGEST_WHY]
    return "".join(letter if letter.isprintable() else "?" for letter in cut) or "no reason given"
