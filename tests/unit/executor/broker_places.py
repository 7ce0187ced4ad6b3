"""Where a broker of the tests is: nowhere, with keys that open nothing."""

from __future__ import annotations

from typing import Any

from services.executor.brokers.registry import BrokerPlace
from shared.runtime.clock import ManualClock
from shared.runtime.config.environment import Secret
from shared.schemas.values import Mode
from tests.builders import NOON
from tests.fakes import KeptLog


def place(**changes: Any) -> BrokerPlace:
    values: dict[str, Any] = {
        "mode": Mode.SIM,
        "url": "http://127.0.0.1:9",
        "stream_url": "ws://127.0.0.1:9",
        "data_url": "http://127.0.0.1:9",
        "key_id": Secret("k"),
        "secret_key": Secret("s"),
        "requests_per_minute": 180,
        "reserved_requests": 30,
        "post_deadline_seconds": 5.0,
        "clock": ManualClock(NOON),
        "log": KeptLog(),
    }
    return BrokerPlace(**{**values, **changes})
