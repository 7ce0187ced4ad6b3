"""A Ctrl-C that is neither lost nor leaves an import half done.

Called by app.main alone. Raised inside an import, an interrupt can leave that module locked, and
a thread that needs the module then waits for ever; raised inside a callback, the interpreter
prints it and goes on. Both are put off until there is a place where it can be raised.
"""

import signal
import sys
from types import FrameType

IMPORTING = "<frozen importlib"
AGAIN_SECONDS = 0.02
"""Short against a person's patience, long against a callback."""


def postpone_interrupts() -> None:
    """Raise KeyboardInterrupt only where it can be heard; where there are no timers, as ever."""
    if not hasattr(signal, "setitimer"):
        return
    others = sys.unraisablehook

    def hook(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            _interrupt_again()
        else:
            others(unraisable)

    sys.unraisablehook = hook
    signal.signal(signal.SIGINT, _on_interrupt)


def _on_interrupt(_signal: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        _interrupt_again()
    else:
        raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False


def _interrupt_again() -> None:
    """By a timer of the system: a thread could not be started safely from here."""
    signal.signal(signal.SIGALRM, _on_interrupt)
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
