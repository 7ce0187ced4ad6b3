"""What is judged: one wish to trade, with all that rules may look at. Made by the gate and by the policy pass."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from shared.schemas.values import Direction, Purpose, Quote, Reason, Side, Value


class Intent(Value, frozen=True, kw_only=True):
    """`now` is business time, `decided_at` wall time; a price is None where there is no quote."""

    symbol: str
    strategy: str
    direction: Direction
    side: Side
    purpose: Purpose
    qty: int
    limit_price: Decimal | None
    quote: Quote | None
    stop: Decimal | None
    target: Decimal | None
    last_close: Decimal | None
    signal_session: dt.date
    last_completed: dt.date
    now: dt.datetime
    decided_at: dt.datetime
    closes_at: dt.datetime
    halted: tuple[str, ...] = ()
    same_pin: bool = True
    repeated: bool = False

    @property
    def opens(self) -> bool:
        """Whether it would take new exposure."""
        return self.purpose is Purpose.ENTRY

    @property
    def notional(self) -> Decimal:
        return self.qty * self.limit_price if self.limit_price is not None else Decimal(0)


class Denial(Value, frozen=True, kw_only=True):
    reason: Reason
    detail: str = ""
