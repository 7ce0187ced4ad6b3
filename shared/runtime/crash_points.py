"""Places between two steps at which a test can end the process, as a power cut would.

`KOBE_CRASH=<point>` or `<point>:<nth>` is honoured under KOBE_TEST=1 in mode sim alone; a
simulation in one process arms an action of its own. Unarmed, a point costs one comparison.
"""

import os
import signal
from collections.abc import Callable
from enum import StrEnum

from shared.domain.errors import UserError


class CrashPoint(StrEnum):
    """In the order in which a message passes them."""

    READ = "read"
    """A batch was read and nothing decided."""
    DECIDED = "decided"
    """Decided, and not committed."""
    COMMITTED = "committed"
    """The outcome of an action is committed."""
    ACKED = "acked"
    """A batch is committed with its acknowledgements."""
    JOURNALED = "journaled"
    """The order is claimed in the journal and no byte of it has left."""
    POST_SENT = "post_sent"
    """The POST has left and no answer was read."""
    POST_ANSWERED = "post_answered"
    """The answer was read and not committed."""
    RECORDED = "recorded"
    """The journal has learned what is committed."""
    FSYNCED = "fsynced"
    """The chain is on disk; the auditor's position is not."""
    CHECKPOINT = "checkpoint"
    """A checkpoint is written and not yet in its place."""


class _Switch:
    """What happens at which point; one for the process."""

    point: CrashPoint | None = None
    passes: int = 0
    action: Callable[[], None] | None = None


def reach(point: CrashPoint) -> None:
    """End the process here if this point is armed and its turn has come."""
    if _Switch.point is not point:
        return
    _Switch.passes -= 1
    if _Switch.passes <= 0 and _Switch.action:
        action = _Switch.action
        disarm()
        action()


def arm(text: str, action: Callable[[], None] | None = None) -> None:
    """Arm a point, as `<point>` or `<point>:<nth>`. Raises UserError if it is neither."""
    name, _, nth = text.partition(":")
    if name not in tuple(CrashPoint) or not (nth or "1").isdigit() or int(nth or "1") < 1:
        known = ", ".join(CrashPoint)
        raise UserError(f"KOBE_CRASH is {text!r}; it must be one of {known}, with :N for the Nth.")
    _Switch.point, _Switch.passes = CrashPoint(name), int(nth or "1")
    _Switch.action = action or _end_process


def disarm() -> None:
    _Switch.point = _Switch.action = None


def _end_process() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
