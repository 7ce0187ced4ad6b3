"""Every request to the broker passes here: written down with its time, its keys checked, its fault suffered.

ASGI middleware around the routes; lets /sim and the probes through untouched.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sim_broker.fault_injection import Fault, FaultKind, Faults
from shared.runtime.clock import Clock

REMEMBERED = 20_000
MAX_BODY = 1 << 20
UNAUTHORIZED = {
    "code": 40110000,
    "message": "access key verification failed : verification failure",
}


@dataclass(slots=True)
class Seen:
    """One request; `at` is the wall clock's, `status` 0 while (or because) it was never answered."""

    n: int
    at: dt.datetime
    method: str
    path: str
    query: str
    body: str
    status: int = 0
    fault: str = ""


class Requests:
    """The last requests, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._numbers = clock, count(1)
        self.seen: deque[Seen] = deque(maxlen=REMEMBERED)

    def record(self, scope: Scope, body: bytes) -> Seen:
        query = scope["query_string"].decode("latin-1")
        text = body.decode(errors="replace")
        seen = Seen(
            next(self._numbers), self._clock.now(), scope["method"], scope["path"], query, text
        )
        self.seen.append(seen)
        return seen


class Door:
    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: Requests,
        authorized: Callable[[str, str], bool],
        faults: Faults,
        answered: Callable[[Seen], None],
    ) -> None:
        self._app, self._requests, self._authorized = app, requests, authorized
        self._faults, self._answered = faults, answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        seen = self._requests.record(scope, body)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.status = message["status"]
            await send(message)

        await self._inside(scope, receive, noting, body, seen)
        self._answered(seen)

    async def _inside(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, seen: Seen
    ) -> None:
        if not self._authorized(*_keys(scope)):
            await _answer(send, 401, msgspec.json.encode(UNAUTHORIZED))
            return
        fault = self._faults.http(seen.method, seen.path)
        if fault is None:
            await self._app(scope, _again(body), send)
            return
        seen.fault = fault.kind.value
        await self._suffer(fault, scope, receive, send, body)

    async def _suffer(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send, body: bytes
    ) -> None:
        kind = fault.kind
        if kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        if kind not in (FaultKind.REFUSE, FaultKind.CUT_BEFORE):
            answer: list[Message] = []
            await self._app(scope, _again(body), _into(answer))
        if kind in (FaultKind.DELAY, FaultKind.DELAY_ANSWER):
            await asyncio.sleep(fault.seconds if kind is FaultKind.DELAY_ANSWER else 0)
            for message in answer:
                await send(message)
        elif kind in (FaultKind.REFUSE, FaultKind.LOSE):
            await _answer(send, fault.status, _sorry(fault), fault.retry_after)
        elif kind is FaultKind.GARBLE:
            await _answer(send, 200, fault.body.encode())
        else:
            await _cut(receive)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body") or len(body) > MAX_BODY:
            return bytes(body)


def _keys(scope: Scope) -> tuple[str, str]:
    headers = dict(scope["headers"])
    key, secret = headers.get(b"apca-api-key-id", b""), headers.get(b"apca-api-secret-key", b"")
    return key.decode("latin-1"), secret.decode("latin-1")


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _into(answer: list[Message]) -> Send:
    async def send(message: Message) -> None:
        answer.append(message)

    return send


def _sorry(fault: Fault) -> bytes:
    if fault.body:
        return fault.body.encode()
    return msgspec.json.encode(
        {"code": fault.status * 100_000, "message": "a fault that was asked for"}
    )


async def _answer(send: Send, status: int, body: bytes, retry_after: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if retry_after:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _cut(receive: Receive) -> None:
    """Reset the connection: the server's transport is reached through the cycle that `receive` belongs to."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("this server's connections cannot be cut")
    transport.abort()
    await asyncio.sleep(0.01)
