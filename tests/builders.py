"""Small, valid things to start from; a test changes what it is about."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from shared.schemas.envelope import Envelope, canonical, envelope_id
from shared.schemas.messages import Message, OrderApproved
from shared.schemas.streams import STREAM_OF, WRITER
from shared.schemas.values import Mode, Protection, Purpose, ScanRef, Side, Slot

SESSION = dt.date(2024, 1, 5)
NOON = dt.datetime(2024, 1, 5, 17, 0, tzinfo=dt.UTC)


def scan_ref(**changes: Any) -> ScanRef:
    values: dict[str, Any] = {
        "id": "SCAN_20240105_143500",
        "session": SESSION,
        "slot": Slot.OPEN,
        "slot_at": dt.datetime(2024, 1, 5, 14, 35, tzinfo=dt.UTC),
        "closes_at": dt.datetime(2024, 1, 5, 21, 0, tzinfo=dt.UTC),
        "last_completed": dt.date(2024, 1, 4),
    }
    return ScanRef(**{**values, **changes})


def approval(**changes: Any) -> OrderApproved:
    values: dict[str, Any] = {
        "scan_id": "SCAN_20240105_143500",
        "slot": Slot.OPEN,
        "signal_id": "s1",
        "decision_id": "DEC_20240105_143500_AAPL_ABCDEF",
        "client_order_id": "k81-abcdefghijklmnopqrstuvwxyz",
        "attempt": 1,
        "strategy": "donchian",
        "symbol": "AAPL",
        "side": Side.BUY,
        "purpose": Purpose.ENTRY,
        "qty": 3,
        "limit_price": Decimal("180.19"),
        "protection": Protection(
            stop=Decimal("170.00"), target=Decimal("205.00"), time_stop_bars=20
        ),
        "expires_at": NOON + dt.timedelta(seconds=15),
    }
    return OrderApproved(**{**values, **changes})


def envelope(message: Message, **changes: Any) -> Envelope:
    """The message in an envelope of its proper writer."""
    stream = STREAM_OF[type(message)]
    seq = changes.get("seq", 1)
    values: dict[str, Any] = {
        "type": type(message).__name__,
        "id": envelope_id(WRITER[stream], stream, seq),
        "writer": WRITER[stream],
        "seq": seq,
        "at": NOON,
        "session": SESSION,
        "correlation_id": "SCAN_20240105_143500",
        "mode": Mode.SIM,
        "account": "sim",
        "config_pin": "pin",
        "code_digest": "code",
        "fence": 1,
        "data": canonical(message).decode(),
    }
    return Envelope(**{**values, **changes})
