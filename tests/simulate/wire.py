"""Between executor and broker without sockets: requests go straight into the broker's application.

Time passes on the simulation's clock alone; a request that takes longer than its deadline has no
answer, as over a real connection.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp, Message, Scope

from services.executor.brokers.alpaca.http import HttpReply, NoAnswer, NotSent, Withheld
from services.sim_broker.exchange.order import OrderUpdate
from shared.domain.trading.ids import is_ours
from shared.runtime.clock import ManualClock
from shared.runtime.crash_points import CrashPoint, reach

LATENCY = 0.004
"""Seconds a request takes at least."""


@dataclass(frozen=True)
class Pause:
    """What the broker awaits instead of sleeping: so many seconds of the simulation's clock."""

    seconds: float

    def __await__(self) -> Generator[float, None, None]:
        yield self.seconds


async def pause(seconds: float) -> None:
    """Stands for asyncio.sleep in the broker."""
    await Pause(seconds)


@dataclass
class _Unfinished:
    """A request whose client has given up; the broker goes on with it at an instant."""

    at: float
    work: Coroutine[Any, Any, None]


class InProcessHttp:
    """Stands for DeadlineHttp. `is_away`: nothing can be connected to."""

    def __init__(self, app: ASGIApp, clock: ManualClock) -> None:
        self._app, self._clock = app, clock
        self._unfinished: list[_Unfinished] = []
        self.is_away = False
        self.requests = 0
        self.posts: dict[str, list[int | str]] = {}

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        seconds: float,
        last_look: Callable[[], str] | None = None,
    ) -> HttpReply:
        """Raises NotSent or NoAnswer; any HTTP status is a HttpReply."""
        self.requests += 1
        until = self._clock.monotonic() + seconds
        self._clock.advance(LATENCY)
        if self.is_away:
            raise NotSent("connection refused")
        if last_look and (why := last_look()):
            raise Withheld(why)
        answer: list[Message] = []
        try:
            self._drive(self._call(method, path, body or b"", answer), until)
        except (ConnectionResetError, TimeoutError) as error:
            self._note(method, body, "no answer")
            raise NoAnswer(f"{method} {path}: {error}") from error
        reply = _reply(answer)
        self._note(method, body, reply.status)
        return reply

    def _note(self, method: str, body: bytes | None, result: int | str) -> None:
        """Remember what became of each POST of an order; a crash may follow."""
        if method != "POST" or body is None:
            return
        name = str(msgspec.json.decode(body).get("client_order_id", ""))
        self.posts.setdefault(name, []).append(result)
        reach(CrashPoint.POST_SENT)

    def _drive(self, work: Coroutine[Any, Any, None], until: float) -> None:
        """Run the broker's side until it has answered. Raises TimeoutError at the deadline."""
        while True:
            try:
                seconds = work.send(None)
            except StopIteration:
                return
            if self._clock.monotonic() + seconds > until:
                at = self._clock.monotonic() + seconds
                self._unfinished.append(_Unfinished(at, work))
                self._clock.advance(until - self._clock.monotonic())
                raise TimeoutError("the deadline has passed")
            self._clock.advance(seconds)

    @property
    def next_at(self) -> float | None:
        """When the broker goes on with a request nobody waits for."""
        return min((each.at for each in self._unfinished), default=None)

    def go_on(self) -> None:
        """Let the broker finish what is due of the requests nobody waits for."""
        due = [each for each in self._unfinished if each.at <= self._clock.monotonic()]
        for each in due:
            self._unfinished.remove(each)
            try:
                seconds = each.work.send(None)
            except (StopIteration, ConnectionResetError):
                continue
            self._unfinished.append(_Unfinished(self._clock.monotonic() + seconds, each.work))

    def forget(self) -> None:
        """The end of the simulation: coroutines are closed, so that none is left unawaited."""
        for each in self._unfinished:
            each.work.close()
        self._unfinished.clear()

    def close(self) -> None:
        pass

    async def _call(self, method: str, path: str, body: bytes, answer: list[Message]) -> None:
        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            answer.append(message)

        await self._app(_scope(method, path), receive, send)


def _scope(method: str, path: str) -> Scope:
    parts = urlsplit(path)
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [],
        "scheme": "http",
        "server": ("broker", 80),
        "client": ("executor", 1),
        "root_path": "",
    }


def _reply(answer: list[Message]) -> HttpReply:
    start = next(each for each in answer if each["type"] == "http.response.start")
    headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    content = b"".join(each.get("body", b"") for each in answer)
    return HttpReply(start["status"], headers, content)


class StoryWakeups:
    """Stands for the trade_updates stream; the broker's update is there at once."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def hear(self, update: OrderUpdate) -> None:
        name = update.order.client_order_id
        self._names.add(name if is_ours(name) else update.order.symbol)

    def take(self) -> frozenset[str]:
        names, self._names = frozenset(self._names), set()
        return names
