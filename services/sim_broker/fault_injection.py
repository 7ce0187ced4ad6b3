"""Faults that tests ask the broker to commit next.

Scheduled by POST /sim/faults (only under KOBE_TEST=1). HTTP faults are injected by
http/middleware.py, the others where they apply.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec.structs import replace

from shared.schemas.values import Value


class FaultKind(StrEnum):
    REFUSE = "refuse"
    """Answer `status` and do nothing."""
    LOSE = "lose"
    """Execute the request, then answer `status`."""
    GARBLE = "garble"
    """Execute the request, then answer 200 with `body`."""
    CUT = "cut"
    """Execute the request, then reset the connection without a byte."""
    CUT_BEFORE = "cut_before"
    """Reset the connection and do nothing."""
    DELAY = "delay"
    """Wait `seconds`, then execute the request."""
    DELAY_ANSWER = "delay_answer"
    """Execute the request, then wait `seconds` before the answer."""
    PARTIAL = "partial"
    """Fill at most `shares` of the next order in `symbol` on arrival; 0 leaves it unfilled."""
    HIDE = "hide"
    """Answer 404 to look-ups of `client_order_id` (any, if empty)."""
    UNQUOTED = "unquoted"
    """Leave `symbol` (all, if empty) out of the quotes."""
    MUTE = "mute"
    """Drop trade updates."""


HTTP_KINDS = frozenset(tuple(FaultKind)[:7])


class Fault(Value, frozen=True, kw_only=True):
    """One scheduled fault.

    `on` is a method and the beginning of a path. The first `skip` occasions pass, the next `times`
    are hit.
    """

    kind: FaultKind
    on: str = "POST /v2/orders"
    times: int = 1
    skip: int = 0
    status: int = 503
    seconds: float = 0.0
    shares: int = 0
    symbol: str = ""
    client_order_id: str = ""
    body: str = ""
    retry_after: str = ""


class Faults:
    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._waiting.append(fault)

    def clear(self) -> None:
        self._waiting.clear()

    @property
    def waiting(self) -> list[Fault]:
        return list(self._waiting)

    def next_http_fault(self, method: str, path: str) -> Fault | None:
        """The fault that applies to this request, if any."""
        for fault in self.waiting:
            if (
                fault.kind in HTTP_KINDS
                and f"{method} {path}".startswith(fault.on)
                and self._is_due(fault)
            ):
                return fault
        return None

    def fill_limit(self, symbol: str) -> int | None:
        fault = self._next(FaultKind.PARTIAL, symbol=symbol)
        return fault.shares if fault else None

    def hides_order(self, client_order_id: str) -> bool:
        return self._next(FaultKind.HIDE, client_order_id=client_order_id) is not None

    def hides_quote(self, symbol: str) -> bool:
        return self._next(FaultKind.UNQUOTED, symbol=symbol) is not None

    def drops_update(self) -> bool:
        return self._next(FaultKind.MUTE) is not None

    def _next(
        self, kind: FaultKind, *, symbol: str = "", client_order_id: str = ""
    ) -> Fault | None:
        for fault in self.waiting:
            named = fault.symbol in ("", symbol) and fault.client_order_id in ("", client_order_id)
            if fault.kind is kind and named and self._is_due(fault):
                return fault
        return None

    def _is_due(self, fault: Fault) -> bool:
        """Count the occasion and tell whether the fault applies to it."""
        place = next(place for place, each in enumerate(self._waiting) if each is fault)
        if fault.skip:
            self._waiting[place] = replace(fault, skip=fault.skip - 1)
            return False
        if fault.times > 1:
            self._waiting[place] = replace(fault, times=fault.times - 1)
        else:
            del self._waiting[place]
        return True
