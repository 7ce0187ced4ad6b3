"""The faults that are scheduled, and which of them applies to an occasion.

Scheduled by POST /sim/faults (only under KOBE_TEST=1). Without any it costs one look.
"""

from collections.abc import Callable
from decimal import Decimal
from itertools import count
from typing import TypeVar

from msgspec.structs import replace

from services.sim_broker.fault_injection import kinds
from shared.schemas.values import OrderStatus

F = TypeVar("F", bound=kinds.Fault)


class FaultPlan:
    """Implements exchange.order_faults.OrderFaults; HTTP faults are the middleware's to ask."""

    def __init__(self) -> None:
        self._scheduled: dict[int, kinds.FaultKind] = {}
        self._numbers = count(1)

    def add(self, fault: kinds.FaultKind) -> int:
        """The number by which the fault can be cleared."""
        number = next(self._numbers)
        self._scheduled[number] = fault
        return number

    def clear(self, number: int | None = None) -> bool:
        """Clear one fault or all; False if there is none of that number."""
        if number is None:
            self._scheduled.clear()
            return True
        return self._scheduled.pop(number, None) is not None

    @property
    def scheduled(self) -> dict[int, kinds.FaultKind]:
        return dict(self._scheduled)

    def next_of(self, kind: type[F], applies: Callable[[F], bool] = lambda _: True) -> F | None:
        """The first fault of a kind that applies to this occasion, which is counted."""
        for number, fault in list(self._scheduled.items()):
            if isinstance(fault, kind) and applies(fault) and self._is_due(number, fault):
                return fault
        return None

    def active(self, kind: type[F]) -> F | None:
        """A fault of a kind that lasts, without counting an occasion."""
        return next((each for each in self._scheduled.values() if isinstance(each, kind)), None)

    def _is_due(self, number: int, fault: kinds.Fault) -> bool:
        if fault.skip:
            self._keep(number, replace(fault, skip=fault.skip - 1))
            return False
        if fault.times == 1:
            del self._scheduled[number]
        elif fault.times > 1:
            self._keep(number, replace(fault, times=fault.times - 1))
        return True

    def _keep(self, number: int, fault: kinds.Fault) -> None:
        assert isinstance(fault, kinds.FaultKind)
        self._scheduled[number] = fault

    # --- requests and answers ---------------------------------------------------------------------

    def http_fault(self, method: str, path: str) -> kinds.HttpFault | None:
        return self.next_of(kinds.HttpFault, lambda fault: fault.is_on(method, path))

    def hides_quote(self, symbol: str) -> bool:
        return self.next_of(kinds.HideQuote, lambda each: each.symbol in ("", symbol)) is not None

    def drops_update(self) -> bool:
        return self.next_of(kinds.Mute) is not None

    def hides_order(self, client_order_id: str, *, age_seconds: float) -> bool:
        """Whether a look-up of this order is answered with 404; counts as an occasion."""
        return self.is_hidden(client_order_id, age_seconds=age_seconds) and (
            self._hidden_for_a_time(client_order_id, age_seconds)
            or self.next_of(kinds.HideOrder, lambda each: each.is_about(client_order_id))
            is not None
        )

    def is_hidden(self, client_order_id: str, *, age_seconds: float) -> bool:
        """The same without counting: lists leave such an order out."""
        return self._hidden_for_a_time(client_order_id, age_seconds) or any(
            isinstance(each, kinds.HideOrder)
            and not each.seconds
            and not each.skip
            and each.is_about(client_order_id)
            for each in self._scheduled.values()
        )

    def _hidden_for_a_time(self, client_order_id: str, age_seconds: float) -> bool:
        return any(
            isinstance(each, kinds.HideOrder)
            and age_seconds < each.seconds
            and each.is_about(client_order_id)
            for each in self._scheduled.values()
        )

    # --- orders -----------------------------------------------------------------------------------

    def arrival_limit(self, symbol: str) -> Decimal | None:
        fault = self.next_of(kinds.PartialFill, lambda each: each.is_about(symbol))
        return fault.shares if fault else None

    def resting_limit(self, symbol: str) -> Decimal | None:
        fault = self.next_of(kinds.PartialStop, lambda each: each.is_about(symbol))
        return fault.shares if fault else None

    def extra_fill(self, symbol: str) -> Decimal:
        fault = self.next_of(kinds.Overfill, lambda each: each.is_about(symbol))
        return fault.shares if fault else Decimal(0)

    def keeps_open(self, symbol: str) -> bool:
        return self.next_of(kinds.Linger, lambda each: each.is_about(symbol)) is not None

    def status_on_arrival(self, symbol: str, *, rests: bool) -> OrderStatus | None:
        place = "resting" if rests else "immediate"
        fault = self.next_of(
            kinds.EndOnArrival,
            lambda each: each.is_about(symbol) and each.which in ("any", place),
        )
        return OrderStatus(fault.status) if fault else None

    def refuses_passed_stop(self, symbol: str) -> bool:
        return self.next_of(kinds.RefuseStop, lambda each: each.is_about(symbol)) is not None

    def keeps_cancel_pending(self, symbol: str) -> bool:
        return self.next_of(kinds.StuckCancel, lambda each: each.is_about(symbol)) is not None
