"""Where the exchange asks whether to misbehave with an order; answered by the fault plan.

Every question counts as an occasion, so it is asked only when it matters.
"""

from decimal import Decimal
from typing import Protocol

from shared.schemas.values import OrderStatus


class OrderFaults(Protocol):
    def arrival_limit(self, symbol: str) -> Decimal | None:
        """The most shares that fill when an order arrives; None is no limit."""
        ...

    def resting_limit(self, symbol: str) -> Decimal | None:
        """The most shares of a resting order that fill when its price is met."""
        ...

    def extra_fill(self, symbol: str) -> Decimal:
        """Shares that fill beyond the order's own quantity."""
        ...

    def keeps_open(self, symbol: str) -> bool:
        """Whether an immediate order stays open instead of ending."""
        ...

    def status_on_arrival(self, symbol: str, *, rests: bool) -> OrderStatus | None:
        """The status with which the broker itself ends an order right after accepting it."""
        ...

    def refuses_passed_stop(self, symbol: str) -> bool:
        """Whether a stop that the market has already passed is refused instead of filled."""
        ...

    def keeps_cancel_pending(self, symbol: str) -> bool:
        """Whether a cancel is acknowledged and not carried out."""
        ...


class NoOrderFaults:
    """Implements OrderFaults: a broker without faults."""

    def arrival_limit(self, symbol: str) -> Decimal | None:
        return None

    def resting_limit(self, symbol: str) -> Decimal | None:
        return None

    def extra_fill(self, symbol: str) -> Decimal:
        return Decimal(0)

    def keeps_open(self, symbol: str) -> bool:
        return False

    def status_on_arrival(self, symbol: str, *, rests: bool) -> OrderStatus | None:
        return None

    def refuses_passed_stop(self, symbol: str) -> bool:
        return False

    def keeps_cancel_pending(self, symbol: str) -> bool:
        return False
