"""A kill latch for a process that is a world of its own (in-process replay, tests)."""

from pathlib import Path

from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import KillView
from shared.runtime.kill.latch import KillLatch
from shared.runtime.kill.memory_line import MemoryKillLine
from shared.runtime.kill.record import ResumeCheck
from shared.schemas.streams import ServiceName
from shared.schemas.values import Mode


class MemoryLatch:
    """What KillLatch is, without its thread: it looks whenever it is asked."""

    def __init__(
        self,
        server: MemoryServer,
        service: ServiceName,
        *,
        check: ResumeCheck | None = None,
        state_dir: Path | None = None,
        kill_file: Path | None = None,
    ) -> None:
        self._latch = KillLatch(
            MemoryKillLine(server, service, "one"),
            service,
            check=check or ResumeCheck(Mode.SIM, "sim"),
            state_dir=state_dir,
            kill_file=kill_file,
            clock=server.clock,
        )
        self._latch.refresh()

    def reasons(self) -> tuple[str, ...]:
        self._latch.refresh()
        return self._latch.reasons()

    def view(self) -> KillView:
        """As of the last `reasons`."""
        return self._latch.view()

    def halt(self, why: str) -> None:
        self._latch.halt(why)

    def refresh(self) -> None:
        self._latch.refresh()
