"""The wires of the kill inside one process: everybody hears everything, so no gap is uncovered."""

from collections import deque

from shared.runtime.bus.memory_server import MemoryServer
from shared.runtime.bus.protocol import Fields, KillView
from shared.schemas.streams import KILL_LOG, ServiceName, latch_key


class MemoryKillLine:
    """Implements line.KillLine."""

    def __init__(self, server: MemoryServer, service: ServiceName, instance: str) -> None:
        self._server = server
        self._report_key = latch_key(service, instance)
        self._inbox: deque[str] = deque()
        self._is_subscribed = False

    def listen(self) -> bool:
        if not self._is_subscribed:
            self._server.subscribe(self._inbox.append)
            self._is_subscribed = True
        return True

    def receive(self, seconds: float) -> list[str]:
        return [self._inbox.popleft() for _ in range(len(self._inbox))]

    def is_covered(self, seconds: float) -> bool:
        return True

    def server_run(self) -> str:
        return "memory"

    def ear_id(self) -> str:
        return self._report_key

    def read(self) -> tuple[KillView, str]:
        view = self._server.kill_view()
        log = self._server.streams.get(KILL_LOG)
        return view, log.entries[-1][1].get("why", "") if log and log.entries else ""

    def append(self, fields: Fields) -> str:
        return self._server.append(KILL_LOG, fields)

    def report(self, fields: Fields, lives_seconds: float) -> None:
        self._server.hash(self._report_key).update(fields)

    def close(self) -> None:
        pass
