"""Records each request to the broker, checks its keys and injects the fault it meets.

ASGI middleware around the routes; /sim and the probes pass untouched.
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

MAX_RECORDS = 20_000
"""More than the longest fault suite sends, about 10 MB."""
MAX_BODY = 1 << 20
"""Far above any order; bounds what a broken client can make the broker read."""
UNAUTHORIZED = {
    "code": 40110000,
    "message": "access key verification failed : verification failure",
}


@dataclass(slots=True)
class RequestRecord:
    """One request; `at` is wall-clock time, `status` 0 if it was never answered."""

    n: int
    at: dt.datetime
    method: str
    path: str
    query: str
    body: str
    status: int = 0
    fault: str = ""


class RequestLog:
    """The last requests, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._numbers = clock, count(1)
        self.records: deque[RequestRecord] = deque(maxlen=MAX_RECORDS)

    def record(self, scope: Scope, body: bytes) -> RequestRecord:
        query = scope["query_string"].decode("latin-1")
        text = body.decode(errors="replace")
        record = RequestRecord(
            next(self._numbers), self._clock.now(), scope["method"], scope["path"], query, text
        )
        self.records.append(record)
        return record


class BrokerMiddleware:
    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: RequestLog,
        authorize: Callable[[str, str], bool],
        faults: Faults,
        on_reply: Callable[[RequestRecord], None],
    ) -> None:
        self._app, self._requests, self._authorize = app, requests, authorize
        self._faults, self._on_reply = faults, on_reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v2"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        record = self._requests.record(scope, body)

        async def note_status(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        await self._serve(scope, receive, note_status, body, record)
        self._on_reply(record)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, record: RequestRecord
    ) -> None:
        if not self._authorize(*_credentials(scope)):
            await _answer(send, 401, msgspec.json.encode(UNAUTHORIZED))
            return
        fault = self._faults.next_http_fault(record.method, record.path)
        if fault is None:
            await self._app(scope, _receive_from(body), send)
            return
        record.fault = fault.kind.value
        await self._inject(fault, scope, receive, send, body)

    async def _inject(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send, body: bytes
    ) -> None:
        kind = fault.kind
        if kind is FaultKind.DELAY:
            await asyncio.sleep(fault.seconds)
        if kind not in (FaultKind.REFUSE, FaultKind.CUT_BEFORE):
            messages: list[Message] = []
            await self._app(scope, _receive_from(body), _collect_into(messages))
        if kind in (FaultKind.DELAY, FaultKind.DELAY_ANSWER):
            await asyncio.sleep(fault.seconds if kind is FaultKind.DELAY_ANSWER else 0)
            for message in messages:
                await send(message)
        elif kind in (FaultKind.REFUSE, FaultKind.LOSE):
            await _answer(send, fault.status, _fault_body(fault), fault.retry_after)
        elif kind is FaultKind.GARBLE:
            await _answer(send, 200, fault.body.encode())
        else:
            await _reset_connection(receive)


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body.extend(message.get("body", b""))
        if not message.get("more_body") or len(body) > MAX_BODY:
            return bytes(body)


def _credentials(scope: Scope) -> tuple[str, str]:
    headers = dict(scope["headers"])
    key, secret = headers.get(b"apca-api-key-id", b""), headers.get(b"apca-api-secret-key", b"")
    return key.decode("latin-1"), secret.decode("latin-1")


def _receive_from(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _collect_into(messages: list[Message]) -> Send:
    async def send(message: Message) -> None:
        messages.append(message)

    return send


def _fault_body(fault: Fault) -> bytes:
    if fault.body:
        return fault.body.encode()
    return msgspec.json.encode({"code": fault.status * 100_000, "message": "an injected fault"})


async def _answer(send: Send, status: int, body: bytes, retry_after: str = "") -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if retry_after:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _reset_connection(receive: Receive) -> None:
    """Reset the TCP connection through uvicorn's transport, which `receive` is bound to."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("this server's connections cannot be cut")
    transport.abort()
    await asyncio.sleep(0.01)  # lets the transport close before the application returns
