"""What a recorded vendor does wrong on order.

Statuses, trickles, cuts, missing keys, rows that are no bars.

An ASGI middleware around either vendor's routes; it also writes down what was asked.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Kind(StrEnum):
    STATUS = "status"
    """Answer `status` with `headers` and `body`."""
    TRICKLE = "trickle"
    """The right answer, one byte at a time, `seconds` apart."""
    LATE = "late"
    """The right answer, after `seconds`."""
    CUT_JSON = "cut_json"
    """Half the document, as if it were all."""
    CUT = "cut"
    """Half the document, then the connection is closed although more was promised."""
    EDIT = "edit"
    """The right document, changed by `edit`."""


@dataclass(frozen=True)
class Fault:
    """Hits requests whose path begins with `path`.

    The first `skip` pass, the next `times` are hit.
    """

    kind: Kind
    path: str = "/"
    times: int = 1
    skip: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"status":"ERROR","error":"a fault that was asked for"}'
    seconds: float = 0.05
    edit: Callable[[Any], Any] = lambda document: document


@dataclass(frozen=True)
class Seen:
    path: str
    query: str
    headers: dict[str, str]


class Recorder:
    """Wraps an app; `faults` may be added while it runs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.requests: list[Seen] = []

    def add(self, *faults: Fault) -> None:
        with self._lock:
            self._faults += faults

    def clear(self) -> None:
        """No fault is met any more."""
        with self._lock:
            self._faults.clear()

    def asked(self, path: str) -> list[Seen]:
        """The requests whose path begins so."""
        return [seen for seen in self.requests if seen.path.startswith(path)]

    def _meets(self, path: str) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self._faults):
                if not path.startswith(fault.path):
                    continue
                if fault.skip:
                    self._faults[place] = replace(fault, skip=fault.skip - 1)
                    continue
                if fault.times > 1:
                    self._faults[place] = replace(fault, times=fault.times - 1)
                else:
                    del self._faults[place]
                return fault
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode(): text.decode() for name, text in scope["headers"]}
        self.requests.append(Seen(scope["path"], scope["query_string"].decode(), headers))
        fault = self._meets(scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind is Kind.STATUS:
            await _answer(send, fault.status, fault.headers, fault.body)
        else:
            await self._spoil(fault, scope, receive, send)

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = await _caught(self._app, scope, receive)
        if fault.kind is Kind.LATE:
            await asyncio.sleep(fault.seconds)
        elif fault.kind is Kind.CUT_JSON:
            body = body[: len(body) // 2]
        elif fault.kind is Kind.EDIT:
            body = _edited(body, fault.edit)
        if fault.kind is Kind.TRICKLE:
            await _trickle(send, status, body, fault.seconds)
        elif fault.kind is Kind.CUT:
            await _cut(receive, send, status, body)
        else:
            await _answer(send, status, {}, body)


def _edited(body: bytes, edit: Callable[[Any], Any]) -> bytes:
    """A JSON document changed, or the text of another."""
    try:
        return msgspec.json.encode(edit(msgspec.json.decode(body)))
    except msgspec.DecodeError:
        changed = edit(body.decode())
        return changed.encode() if isinstance(changed, str) else msgspec.json.encode(changed)


async def _caught(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[int, bytes]:
    status, body = 0, bytearray()

    async def send(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        body.extend(message.get("body", b""))

    await app(scope, receive, send)
    return status, bytes(body)


def _start(status: int, headers: dict[str, str], length: int) -> Message:
    named = {"content-type": "application/json", "content-length": str(length), **headers}
    lines = [(name.lower().encode(), text.encode()) for name, text in named.items()]
    return {"type": "http.response.start", "status": status, "headers": lines}


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    await send(_start(status, headers, len(body)))
    await send({"type": "http.response.body", "body": body})


async def _trickle(send: Send, status: int, body: bytes, seconds: float) -> None:
    await send(_start(status, {}, len(body)))
    for byte in body:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        await asyncio.sleep(seconds)
    await send({"type": "http.response.body", "body": b""})


async def _cut(receive: Receive, send: Send, status: int, body: bytes) -> None:
    await send(_start(status, {}, len(body)))
    half = body[: len(body) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is not None:
        transport.close()
    await asyncio.sleep(0.01)
