"""The faults that can be scheduled, one class a kind; `kind` in JSON names it.

`skip` occasions pass, the next `times` are hit; `times` 0 lasts until cleared. Events of the world
(splits, hand trades, …) are in exchange/world_events.py.
"""

from decimal import Decimal
from typing import Literal

import msgspec

POST_ORDER = "POST /v2/orders"


class Fault(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    times: int = 1
    skip: int = 0


# --- of a request and its answer ------------------------------------------------------------------


class HttpFault(Fault, frozen=True, kw_only=True):
    """`on` is a method and a path; a `*` at its end stands for any further path."""

    on: str = POST_ORDER

    def is_on(self, method: str, path: str) -> bool:
        place = f"{method} {path}"
        return place.startswith(self.on[:-1]) if self.on.endswith("*") else place == self.on


class Refuse(HttpFault, frozen=True, kw_only=True, tag="refuse"):
    """Answer `status` and do nothing."""

    status: int = 503
    body: str = ""
    retry_after: str = ""


class Lose(Refuse, frozen=True, kw_only=True, tag="lose"):
    """Execute the request, then answer `status`."""


class Garble(HttpFault, frozen=True, kw_only=True, tag="garble"):
    """Execute the request, then answer 200 with `body`, padded with blanks to `size` bytes."""

    body: str = ""
    size: int = 0


class Cut(HttpFault, frozen=True, kw_only=True, tag="cut"):
    """Execute the request, then reset the connection without a byte."""


class CutBefore(HttpFault, frozen=True, kw_only=True, tag="cut_before"):
    """Reset the connection and do nothing."""


class Delay(HttpFault, frozen=True, kw_only=True, tag="delay"):
    """Wait `seconds`, then execute the request."""

    seconds: float


class DelayAnswer(HttpFault, frozen=True, kw_only=True, tag="delay_answer"):
    """Execute the request, then wait `seconds` before the answer: accept, then hang."""

    seconds: float


class Trickle(HttpFault, frozen=True, kw_only=True, tag="trickle"):
    """Execute the request, then send one byte of the answer every `seconds`."""

    seconds: float = 1.0


class SetField(HttpFault, frozen=True, kw_only=True, tag="set_field"):
    """In the answer set `field` of each row (of `symbol` alone, if named) to `value`."""

    on: str = "GET /v2/positions"
    field: str
    symbol: str = ""
    value: str | int | float | bool | None = None


class EmptyPositions(HttpFault, frozen=True, kw_only=True, tag="empty_positions"):
    """Answer the list of positions with an empty one."""

    on: str = "GET /v2/positions"


class RateLimit(Fault, frozen=True, kw_only=True, tag="rate_limit"):
    """Answer 429 beyond `per_minute` requests in any 60 seconds, until cleared."""

    times: int = 0
    per_minute: int = 200


class SlowConnect(Fault, frozen=True, kw_only=True, tag="slow_connect"):
    """Let new connections wait `seconds` before they are established."""

    seconds: float


# --- of what is shown -----------------------------------------------------------------------------


class HideOrder(Fault, frozen=True, kw_only=True, tag="hide"):
    """Answer look-ups of an order with 404 and leave it out of lists.

    For `times` look-ups or, if `seconds` is above 0, for so long after its submission (until
    cleared): it appears late. `client_order_id` empty is any.
    """

    client_order_id: str = ""
    seconds: float = 0.0

    def is_about(self, client_order_id: str) -> bool:
        return self.client_order_id in ("", client_order_id)


class HideQuote(Fault, frozen=True, kw_only=True, tag="unquoted"):
    """Leave `symbol` (all, if empty) out of the quotes."""

    symbol: str = ""


class BadQuote(Fault, frozen=True, kw_only=True, tag="bad_quote"):
    """Quote `symbol` with other prices, or `age_seconds` old; 0 is what Alpaca sends for none."""

    symbol: str
    bid: Decimal | None = None
    ask: Decimal | None = None
    age_seconds: float = 0.0


class ClockSkew(Fault, frozen=True, kw_only=True, tag="clock_skew"):
    """Show the clock `seconds` ahead, or behind if below 0."""

    seconds: float


class Mute(Fault, frozen=True, kw_only=True, tag="mute"):
    """Drop trade updates."""


# --- of orders ------------------------------------------------------------------------------------


class OrderFault(Fault, frozen=True, kw_only=True):
    """`symbol` empty is any."""

    symbol: str = ""

    def is_about(self, symbol: str) -> bool:
        return self.symbol in ("", symbol)


class PartialFill(OrderFault, frozen=True, kw_only=True, tag="partial"):
    """Fill at most `shares` of an order on arrival; 0 leaves it unfilled."""

    shares: Decimal = Decimal(0)


class PartialStop(OrderFault, frozen=True, kw_only=True, tag="partial_stop"):
    """Fill at most `shares` of a resting order whose price is met; the rest goes on resting."""

    shares: Decimal = Decimal(1)


class Overfill(OrderFault, frozen=True, kw_only=True, tag="overfill"):
    """Fill `shares` more than the order asked for."""

    shares: Decimal = Decimal(1)


class Linger(OrderFault, frozen=True, kw_only=True, tag="linger"):
    """Leave an immediate order open instead of ending it."""


class EndOnArrival(OrderFault, frozen=True, kw_only=True, tag="end_on_arrival"):
    """Accept an order, then end it at once; `which`: resting orders, immediate ones, or any."""

    status: Literal["canceled", "rejected", "expired"] = "canceled"
    which: Literal["resting", "immediate", "any"] = "resting"


class RefuseStop(OrderFault, frozen=True, kw_only=True, tag="refuse_stop"):
    """Refuse a stop that the market has already passed, instead of filling it."""

    times: int = 0


class StuckCancel(OrderFault, frozen=True, kw_only=True, tag="stuck_cancel"):
    """Acknowledge a cancel and leave the order in `pending_cancel`."""


FaultKind = (
    Refuse
    | Lose
    | Garble
    | Cut
    | CutBefore
    | Delay
    | DelayAnswer
    | Trickle
    | SetField
    | EmptyPositions
    | RateLimit
    | SlowConnect
    | HideOrder
    | HideQuote
    | BadQuote
    | ClockSkew
    | Mute
    | PartialFill
    | PartialStop
    | Overfill
    | Linger
    | EndOnArrival
    | RefuseStop
    | StuckCancel
)
