"""The executor as a process of its own, between a real Redis and the simulated broker over HTTP."""

from __future__ import annotations

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.sim_broker.exchange.exchange import Exchange
from services.sim_broker.http.app import create_app
from services.sim_broker.simulator import Simulator
from shared.domain.trading import ids
from shared.runtime.bus.redis_connection import Address, RedisConnection
from shared.runtime.clock import SystemClock
from shared.runtime.config.settings import load_settings
from shared.runtime.observability.health_server import Server
from shared.runtime.provisioning.streams import init_streams
from shared.runtime.signing import Signer
from shared.schemas.envelope import from_fields, to_fields
from shared.schemas.messages import Message, OrderApproved, ScanDecided, SessionOpened
from shared.schemas.streams import KILL_CHANNEL, STREAM_OF, WRITER, ServiceName, Stream
from shared.schemas.values import Phase, Protection, Side, Slot, Stage
from tests.builders import approval, envelope
from tests.servers import free_port, redis_server
from tests.unit.sim_broker.bar_table import DAYS, BarTable

ROOT = Path(__file__).resolve().parents[3]
M = TypeVar("M", bound=Message)
TODAY = DAYS[0]


class Stack:
    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder, self.redis_url = folder, redis_url
        self.redis = RedisConnection(Address.parse(redis_url))
        init_streams(self.redis, folder / "marker")
        self.simulator = Simulator(
            Exchange(
                BarTable(symbols=["AAPL", *(f"S{n}" for n in range(400))]), cash=Decimal(10**8)
            )
        )
        self.simulator.advance(TODAY, Stage.OPEN, None)
        self._broker = Server(create_app(self.simulator, test=True), "127.0.0.1", 0).start()
        self.gate = Signer.generate()
        (folder / "public_keys.json").write_bytes(
            msgspec.json.encode([self.gate.public_key("risk-gate")])
        )
        self.port = free_port()
        self.environment = {
            "KOBE_MODE": "sim",
            "KOBE_REDIS_URL": redis_url,
            "KOBE_STATE_DIR": str(folder / "state"),
            "KOBE_KILL_FILE": str(folder / "KILL_SWITCH"),
            "KOBE_LOG_DIR": str(folder / "logs"),
            "KOBE_PUBLIC_KEYS_FILE": str(folder / "public_keys.json"),
            "KOBE_BROKER_URL": f"http://127.0.0.1:{self._broker.port}",
            "KOBE_BROKER_STREAM_URL": f"ws://127.0.0.1:{self._broker.port}/stream",
            "KOBE_HTTP_PORT": str(self.port),
        }
        self._pin = load_settings(self.environment).config_pin
        self.numbers: dict[ServiceName, int] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        paths = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        with (self.folder / "out.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.executor"],
                env=paths | self.environment,
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(15)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.end(signal.SIGKILL)
        self._broker.stop()
        self.redis.close()

    # --- the gate and the scheduler ---------------------------------------------------------------

    def hear(self, message: Message, *, signer: Signer | None = None) -> None:
        stream = STREAM_OF[type(message)]
        writer = WRITER[stream]
        self.numbers[writer] = self.numbers.get(writer, 0) + 1
        now = SystemClock().now()
        sealed = envelope(
            message, seq=self.numbers[writer], at=now, session=TODAY, config_pin=self._pin
        )
        if stream is Stream.ORDERS:
            sealed = (signer or self.gate).sign(sealed)
        fields = [part for pair in to_fields(sealed).items() for part in pair]
        self.redis.one("XADD", stream.key, "*", *fields)

    def open(self) -> None:
        now = SystemClock().now()
        self.hear(SessionOpened(session=TODAY, previous=None, opens_at=now, closes_at=now))

    def approve(
        self, symbol: str = "AAPL", number: int = 1, *, signer: Signer | None = None
    ) -> OrderApproved:
        message = approval(
            symbol=symbol,
            client_order_id=ids.client_order_id(ids.order_digest(symbol, number)),
            decision_id=f"DEC_{symbol}_{number}",
            side=Side.BUY,
            limit_price=Decimal("100.10"),
            protection=Protection(stop=Decimal(90), target=Decimal(120), time_stop_bars=5),
            expires_at=SystemClock().now() + dt.timedelta(seconds=15),
        )
        self.hear(message, signer=signer)
        return message

    def decide(self, approved: int) -> None:
        self.hear(
            ScanDecided(
                scan_id="SCAN_20240105_143500",
                slot=Slot.OPEN,
                phase=Phase.ENTRIES,
                approved=approved,
                denied=0,
                final=True,
            )
        )

    def kill(self) -> None:
        self.redis.one("PUBLISH", KILL_CHANNEL, "a test")

    # --- what happened ----------------------------------------------------------------------------

    def said(self, kind: type[M]) -> list[M]:
        entries = self.redis.one("XRANGE", Stream.EXECUTIONS.key, "-", "+")
        messages = [
            from_fields(dict(zip(flat[::2], flat[1::2], strict=True)))[1] for _, flat in entries
        ]
        return [message for message in messages if isinstance(message, kind)]

    def until(self, true: Callable[[], Any], seconds: float = 20.0) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = true()
            if found:
                return found
            time.sleep(0.02)
        raise AssertionError((self.folder / "out.log").read_text()[-4000:])

    def orders(self, client_order_id: str) -> int:
        book = self.simulator.exchange.book
        return sum(order.client_order_id == client_order_id for order in list(book.orders.values()))


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Started, with the session open."""
    with redis_server() as server:
        stack = Stack(folder, server.url)
        try:
            stack.start()
            stack.open()
            yield stack
        finally:
            stack.close()
