"""What happens to the account and its symbols without an order of ours: the values that say so.

Scheduled by POST /sim/faults for a session, or applied at once; world.py applies them. The last
word of each docstring line tells what a field means where its name does not.
"""

import datetime as dt
from decimal import Decimal
from typing import Literal

import msgspec

from shared.schemas.values import Side, Stage


class _Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """`session`: when the event happens, at the start of `stage`; None is at once."""

    session: dt.date | None = None
    stage: Stage = Stage.START


OpenOrders = Literal["cancel", "keep", "adjust"]
"""What the broker does with working orders of a symbol that changes."""


class SplitEvent(_Event, frozen=True, kw_only=True, tag="split"):
    """`new` shares for each `old`.

    A fraction that results is paid in cash or kept as a fraction.
    """

    symbol: str
    new: Decimal
    old: Decimal = Decimal(1)
    fraction: Literal["cash", "keep"] = "cash"
    orders: OpenOrders = "cancel"


class RenameEvent(_Event, frozen=True, kw_only=True, tag="rename"):
    symbol: str
    new_symbol: str
    orders: OpenOrders = "cancel"


class SpinOffEvent(_Event, frozen=True, kw_only=True, tag="spin_off"):
    """`rate` shares of `new_symbol` for each share.

    `value_fraction` of the price goes with them.
    """

    symbol: str
    new_symbol: str
    rate: Decimal = Decimal(1)
    value_fraction: Decimal = Decimal("0.2")
    orders: OpenOrders = "keep"


class ReinvestEvent(_Event, frozen=True, kw_only=True, tag="reinvest"):
    """A dividend paid in `qty` shares, mostly a fraction."""

    symbol: str
    qty: Decimal = Decimal("0.5")


class DelistEvent(_Event, frozen=True, kw_only=True, tag="delist"):
    """The symbol stops trading; `price` a share is paid out, None leaves the shares there."""

    symbol: str
    price: Decimal | None = None


class HandTradeEvent(_Event, frozen=True, kw_only=True, tag="hand_trade"):
    """The user trades by hand, outside of us; at the market without a `price`."""

    symbol: str
    side: Side = Side.BUY
    qty: Decimal = Decimal(1)
    price: Decimal | None = None


class TransferEvent(_Event, frozen=True, kw_only=True, tag="transfer"):
    """Dollars: above zero a deposit, below a withdrawal."""

    amount: Decimal


class BlockEvent(_Event, frozen=True, kw_only=True, tag="block"):
    """The broker blocks the account, or lifts the block."""

    blocked: bool = True


class HaltEvent(_Event, frozen=True, kw_only=True, tag="halt"):
    """Trading in a symbol is halted, or resumes: no quote, no fill."""

    symbol: str
    halted: bool = True


class EndOrderEvent(_Event, frozen=True, kw_only=True, tag="end_order"):
    """The broker ends working orders: of a symbol, or one by its id; of an OCO one half alone."""

    symbol: str = ""
    client_order_id: str = ""
    half: Literal["both", "stop", "target"] = "both"
    status: Literal["canceled", "expired", "rejected"] = "canceled"


class ClosureEvent(_Event, frozen=True, kw_only=True, tag="closure"):
    """The exchange stays shut for the session, the present one if none is named."""


CorporateEvent = SplitEvent | RenameEvent | SpinOffEvent | DelistEvent
"""What the broker announces in GET /v1/corporate-actions."""

WorldEvent = (
    SplitEvent
    | RenameEvent
    | SpinOffEvent
    | ReinvestEvent
    | DelistEvent
    | HandTradeEvent
    | TransferEvent
    | BlockEvent
    | HaltEvent
    | EndOrderEvent
    | ClosureEvent
)
