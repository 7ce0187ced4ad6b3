"""Records each request to the broker, checks its keys and injects the fault it meets.

ASGI middleware around the routes; /sim and the probes pass untouched.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.sim_broker.fault_injection import kinds
from services.sim_broker.fault_injection.plan import FaultPlan
from services.sim_broker.http.request_log import RequestLog, RequestRecord

MAX_BODY = 1 << 20
"""Far above any order; bounds what a broken client can make the broker read."""
WINDOW_SECONDS = 60
"""Alpaca's rate limits are per minute."""
API_PATHS = ("/v2", "/v1")
UNAUTHORIZED = {
    "code": 40110000,
    "message": "access key verification failed : verification failure",
}
TOO_MANY = {"code": 42910000, "message": "rate limit exceeded"}
JSON = b"application/json"
Headers = list[tuple[bytes, bytes]]


class BrokerMiddleware:
    def __init__(
        self,
        app: ASGIApp,
        *,
        requests: RequestLog,
        authorize: Callable[[str, str], bool],
        faults: FaultPlan,
        on_reply: Callable[[RequestRecord], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app, self._requests, self._authorize = app, requests, authorize
        self._faults, self._on_reply, self._sleep = faults, on_reply, sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(API_PATHS):
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
        if self._is_over_limit():
            record.fault = "rate_limit"
            await _answer(send, 429, msgspec.json.encode(TOO_MANY), _limit_headers(self._requests))
            return
        fault = self._faults.http_fault(record.method, record.path)
        if fault is None:
            await self._app(scope, _receive_from(body), send)
            return
        record.fault = str(fault.__struct_config__.tag)
        await self._inject(fault, scope, receive, send, body)

    def _is_over_limit(self) -> bool:
        limit = self._faults.active(kinds.RateLimit)
        return limit is not None and self._requests.recent(WINDOW_SECONDS) > limit.per_minute

    async def _inject(
        self, fault: kinds.HttpFault, scope: Scope, receive: Receive, send: Send, body: bytes
    ) -> None:
        async def execute() -> list[Message]:
            messages: list[Message] = []
            await self._app(scope, _receive_from(body), _collect_into(messages))
            return messages

        match fault:
            case kinds.Lose():
                await execute()
                await _refuse(send, fault)
            case kinds.Refuse():
                await _refuse(send, fault)
            case kinds.CutBefore():
                await _reset_connection(receive)
            case kinds.Cut():
                await execute()
                await _reset_connection(receive)
            case kinds.Delay():
                await self._sleep(fault.seconds)
                await _send_all(send, await execute())
            case kinds.DelayAnswer():
                messages = await execute()
                await self._sleep(fault.seconds)
                await _send_all(send, messages)
            case kinds.Trickle():
                await self._trickle(send, await execute(), fault.seconds)
            case kinds.Garble():
                await execute()
                await _answer(send, 200, fault.body.encode().ljust(fault.size))
            case kinds.EmptyPositions():
                await _answer(send, 200, b"[]")
            case kinds.SetField():
                await _send_all(send, _edit(await execute(), fault))

    async def _trickle(self, send: Send, messages: list[Message], seconds: float) -> None:
        for message in messages:
            if message["type"] == "http.response.start":
                await send(message)
                continue
            for byte in message["body"]:
                await self._sleep(seconds)
                await send({**message, "body": bytes([byte]), "more_body": True})
            await send({**message, "body": b""})


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


async def _send_all(send: Send, messages: list[Message]) -> None:
    for message in messages:
        await send(message)


async def _refuse(send: Send, fault: kinds.Refuse) -> None:
    body = fault.body.encode() or msgspec.json.encode(
        {"code": fault.status * 100_000, "message": "an injected fault"}
    )
    pause: Headers = [(b"retry-after", fault.retry_after.encode())] if fault.retry_after else []
    await _answer(send, fault.status, body, pause)


async def _answer(send: Send, status: int, body: bytes, more: Headers | None = None) -> None:
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *(more or [])]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _limit_headers(requests: RequestLog) -> Headers:
    reset = int(requests.now().timestamp()) + WINDOW_SECONDS
    return [(b"x-ratelimit-reset", str(reset).encode()), (b"x-ratelimit-remaining", b"0")]


def _edit(messages: list[Message], fault: kinds.SetField) -> list[Message]:
    """The same answer with the field set in its rows; an answer without such rows stays."""
    content = b"".join(each.get("body", b"") for each in messages)
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return messages
    for row in _rows(answer, fault.symbol):
        row[fault.field] = fault.value
    body = msgspec.json.encode(answer)
    status = messages[0]["status"]
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    return [
        {"type": "http.response.start", "status": status, "headers": headers},
        {"type": "http.response.body", "body": body},
    ]


def _rows(answer: object, symbol: str) -> list[dict[str, object]]:
    """The rows of a list, the quotes by symbol, or the one object that the answer is."""
    if isinstance(answer, dict) and isinstance(answer.get("quotes"), dict):
        return [row for name, row in answer["quotes"].items() if symbol in ("", name)]
    rows = answer if isinstance(answer, list) else [answer]
    return [row for row in rows if isinstance(row, dict) and symbol in ("", row.get("symbol", ""))]


async def _reset_connection(receive: Receive) -> None:
    """Reset the TCP connection through uvicorn's transport, which `receive` is bound to."""
    transport = getattr(getattr(receive, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("this server's connections cannot be cut")
    transport.abort()
    await asyncio.sleep(0.01)  # lets the transport close before the application returns
