"""The Alpaca adapter on an address of its own, and the order it is asked about."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from services.executor.brokers.alpaca.announcements import Announcements
from services.executor.brokers.alpaca.broker import AlpacaBroker
from services.executor.brokers.alpaca.http import DeadlineHttp
from services.executor.brokers.alpaca.rate_limit import RequestWindow
from services.executor.brokers.protocol import Kind, OrderRequest
from shared.runtime.clock import SystemClock
from shared.schemas.values import Side

OPENED: list[DeadlineHttp] = []
REQUEST = OrderRequest(
    client_order_id="k81-one",
    symbol="AAPL",
    side=Side.BUY,
    qty=3,
    kind=Kind.IMMEDIATE,
    limit_price=Decimal("180.19"),
)
ORDER: dict[str, Any] = {
    "id": "b-1",
    "client_order_id": "k81-one",
    "symbol": "AAPL",
    "side": "buy",
    "qty": "3",
    "status": "accepted",
    "filled_qty": "0",
    "filled_avg_price": None,
}


def adapter(
    url: str, *, per_minute: int = 180, post_seconds: float = 1.0, data_url: str = ""
) -> AlpacaBroker:
    clock = SystemClock()
    budget = RequestWindow(per_minute=per_minute, reserved=30, clock=clock)
    http, data = DeadlineHttp(url, {}), DeadlineHttp(data_url or url, {})
    OPENED.extend((http, data))
    return AlpacaBroker(
        http,
        budget=budget,
        clock=clock,
        post_seconds=post_seconds,
        announcements=Announcements(data),
    )


def error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
