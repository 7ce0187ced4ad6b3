"""One broker as the contract suite drives it; each file of `broker_subjects/` makes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.executor.brokers.protocol import Broker


@dataclass
class BrokerWorld:
    """The market stands at 100.

    `partial` lets the next order in AAPL fill that much; `stop` moves the market through a stop at
    90, which then fills at 89.95.
    """

    broker: Broker
    partial: Callable[[int], None]
    stop: Callable[[], None]
