"""The kill as everything else sees it: reasons to be halted, the two keys, a way to halt."""

from typing import Protocol

from shared.runtime.bus.protocol import KillView


class Latch(Protocol):
    """Implemented by kill/latch.py over Redis and kill/memory_latch.py in one process."""

    def reasons(self) -> tuple[str, ...]:
        """Why nothing may be opened; never older than 500 ms, else that is the reason."""
        ...

    def view(self) -> KillView:
        """The latch's two keys as last read."""
        ...

    def refresh(self) -> None:
        """Look now; raises nothing."""
        ...

    def halt(self, why: str) -> None:
        """Halt every service."""
        ...
