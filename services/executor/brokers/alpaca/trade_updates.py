"""Alpaca's trade_updates stream, in a thread of its own: which orders to look up, nothing else.

Wired by the executor's __main__, asked by work. What it hears is never booked: REST is the truth.
After every gap it says "everything", for the stream cannot be replayed.
"""

from __future__ import annotations

import threading

import msgspec
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from shared.domain.trading.ids import is_ours
from shared.runtime.backoff import Backoff
from shared.runtime.observability.log import Log

EVERYTHING = "*"
OPEN_SECONDS = 5.0
RECEIVE_SECONDS = 1.0  # how late a stop of the service is noticed
FIRST_PAUSE = 0.5  # a dropped stream is mostly back at once
LONGEST_PAUSE = 30.0  # polling goes on meanwhile; more haste would only add load
MAX_BYTES = 1 << 20
BIRTHS = frozenset({"new", "accepted", "pending_new", "held"})


class _Subject(msgspec.Struct, frozen=True):
    symbol: str = ""
    client_order_id: str = ""


class _Data(msgspec.Struct, frozen=True):
    order: _Subject | None = None
    event: str = ""
    status: str = ""


class _Frame(msgspec.Struct, frozen=True):
    stream: str = ""
    data: _Data = _Data()


class TradeUpdates:
    """Implements protocol.Wakeups."""

    def __init__(self, url: str, *, key_id: str, secret: str, log: Log) -> None:
        self._url, self._key_id, self._secret, self._log = url, key_id, secret, log
        self._named: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trade-updates", daemon=True)

    def start(self) -> TradeUpdates:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=OPEN_SECONDS)

    def take(self) -> frozenset[str]:
        with self._lock:
            named, self._named = frozenset(self._named), set()
        return named

    def _name(self, what: str) -> None:
        with self._lock:
            self._named.add(what)

    def _run(self) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        while not self._stop.is_set():
            try:
                with connect(
                    self._url, open_timeout=OPEN_SECONDS, max_size=MAX_BYTES, compression=None
                ) as stream:
                    self._subscribe(stream)
                    backoff.reset()
                    self._name(EVERYTHING)
                    self._listen(stream)
            except (OSError, WebSocketException, msgspec.MsgspecError, ValueError) as error:
                self._log.warning(
                    "trade_updates_lost", error=repr(error), failures=backoff.failures + 1
                )
            self._stop.wait(backoff.next_pause())

    def _subscribe(self, stream: ClientConnection) -> None:
        keys = {"key_id": self._key_id, "secret_key": self._secret}
        self._send(stream, {"action": "authenticate", "data": keys})
        answer = _frame(stream.recv(timeout=OPEN_SECONDS))
        if answer.data.status != "authorized":
            raise ValueError(f"the stream says {answer.data.status or 'nothing'} to our key")
        self._send(stream, {"action": "listen", "data": {"streams": ["trade_updates"]}})

    def _send(self, stream: ClientConnection, message: dict[str, object]) -> None:
        stream.send(msgspec.json.encode(message).decode())

    def _listen(self, stream: ClientConnection) -> None:
        while not self._stop.is_set():
            try:
                frame = _frame(stream.recv(timeout=RECEIVE_SECONDS))
            except TimeoutError:
                continue
            if frame.stream == "trade_updates" and frame.data.event not in BIRTHS:
                self._name(_name_of(frame.data.order))


def _name_of(order: _Subject | None) -> str:
    """Our order by its id; the halves of an OCO, whose ids the broker makes, by their symbol."""
    if order is None:
        return EVERYTHING
    return order.client_order_id if is_ours(order.client_order_id) else order.symbol


def _frame(text: str | bytes) -> _Frame:
    """Paper sends binary frames, live sends text."""
    return msgspec.json.decode(text, type=_Frame)
