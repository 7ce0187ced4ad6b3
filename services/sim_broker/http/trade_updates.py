"""The trade_updates websocket: authenticate, listen, then one frame per update.

Frames are binary, as on Alpaca's paper stream. A listener that does not read is disconnected.
"""

import asyncio
from collections.abc import Callable

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from services.sim_broker.exchange.order import OrderUpdate
from services.sim_broker.http import account_json as replies
from shared.schemas.json_types import JsonObject

MAX_BEHIND = 10_000
"""Updates queued for one listener; about 10 MB."""
Authorize = Callable[[str, str], bool]


class UpdateFeed:
    """All connected listeners."""

    def __init__(self, authorize: Authorize) -> None:
        self._authorize = authorize
        self._queues: set[asyncio.Queue[bytes | None]] = set()

    @property
    def listeners(self) -> int:
        return len(self._queues)

    def publish(self, update: OrderUpdate) -> None:
        if not self._queues:
            return
        frame = msgspec.json.encode(replies.trade_update(update))
        for queue in list(self._queues):
            if queue.qsize() < MAX_BEHIND:
                queue.put_nowait(frame)
            else:
                self._queues.discard(queue)
                queue.put_nowait(None)

    async def serve(self, websocket: WebSocket) -> None:
        await websocket.accept()
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        sending = asyncio.create_task(_send(websocket, queue))
        reading = asyncio.create_task(self._read_commands(websocket, queue))
        try:
            await asyncio.wait({sending, reading}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._queues.discard(queue)
            for task in (sending, reading):
                task.cancel()
            await asyncio.gather(sending, reading, return_exceptions=True)

    async def _read_commands(
        self, websocket: WebSocket, queue: asyncio.Queue[bytes | None]
    ) -> None:
        allowed = False
        while True:
            message = await _receive(websocket)
            if message is None:
                return
            data = message.get("data") or {}
            if message.get("action") == "authenticate":
                allowed = self._authorize(
                    str(data.get("key_id", "")), str(data.get("secret_key", ""))
                )
                queue.put_nowait(_authorization_frame(allowed))
            elif message.get("action") == "listen":
                streams = [
                    each for each in data.get("streams", []) if each == "trade_updates" and allowed
                ]
                if streams:
                    self._queues.add(queue)
                queue.put_nowait(_frame("listening", {"streams": streams}))


async def _receive(websocket: WebSocket) -> JsonObject | None:
    """The client's message, {} if it is no JSON object, None after a disconnect."""
    frame = await websocket.receive()
    if frame["type"] == "websocket.disconnect":
        return None
    try:
        message = msgspec.json.decode(frame.get("bytes") or frame.get("text") or b"")
    except msgspec.DecodeError:
        return {}
    return (
        message if isinstance(message, dict) and isinstance(message.get("data", {}), dict) else {}
    )


async def _send(websocket: WebSocket, queue: asyncio.Queue[bytes | None]) -> None:
    try:
        while (frame := await queue.get()) is not None:
            await websocket.send_bytes(frame)
        await websocket.close(code=1008)
    except (WebSocketDisconnect, RuntimeError):
        return


def _frame(stream: str, data: JsonObject) -> bytes:
    return msgspec.json.encode({"stream": stream, "data": data})


def _authorization_frame(allowed: bool) -> bytes:
    status = "authorized" if allowed else "unauthorized"
    return _frame("authorization", {"status": status, "action": "authenticate"})
