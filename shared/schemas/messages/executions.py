"""What the executor publishes: what the broker has accepted, filled, ended, and holds."""

import datetime as dt
from typing import Annotated

from msgspec import Meta

from shared.schemas import fields as f
from shared.schemas.values import (
    Ending,
    Holding,
    MarketView,
    Message,
    Phase,
    Purpose,
    Side,
    Slot,
    Stage,
)


class OrderSubmitted(Message, frozen=True, kw_only=True):
    """The broker has accepted the order."""

    client_order_id: f.Id
    decision_id: f.Id
    broker_order_id: f.OptionalId
    strategy: f.StrategyName
    symbol: f.Symbol
    side: Side
    purpose: Purpose
    qty: f.Qty
    limit_price: f.Price | None


class OrderFilled(Message, frozen=True, kw_only=True):
    """`qty` more shares were filled at the average `price`; `cumulative_qty` counts them all."""

    client_order_id: f.Id
    decision_id: f.Id
    strategy: f.StrategyName
    symbol: f.Symbol
    side: Side
    purpose: Purpose
    session: dt.date
    qty: f.Qty
    price: f.Price
    cumulative_qty: f.Qty
    time_stop_bars: f.Count
    stop: f.Price | None
    filled_at: dt.datetime


class OrderEnded(Message, frozen=True, kw_only=True):
    """The one terminal event of an order; `detail` gives the broker's reason, or ours."""

    client_order_id: f.Id
    decision_id: f.Id
    strategy: f.StrategyName
    symbol: f.Symbol
    side: Side
    purpose: Purpose
    ending: Ending
    filled_qty: f.QtyOrZero
    average_price: f.Price | None
    detail: f.Text = ""


class OrderUnknown(Message, frozen=True, kw_only=True):
    """We do not know whether the broker has the order; it is looked up until known."""

    client_order_id: f.Id
    symbol: f.Symbol
    detail: f.Text


class ProtectionPlaced(Message, frozen=True, kw_only=True):
    """A stop (or stop and target) rests at the broker for exactly `qty` held shares."""

    symbol: f.Symbol
    strategy: f.StrategyName
    parent_client_order_id: f.Id
    client_order_id: f.Id
    broker_order_id: f.OptionalId
    counter: f.Count
    side: Side
    qty: f.Qty
    stop: f.Price
    target: f.Price | None


class PositionAdjusted(Message, frozen=True, kw_only=True):
    """Our books moved to agree with the broker: never a fill. `qty` is the signed change."""

    symbol: f.Symbol
    strategy: f.StrategyName
    qty: f.QtyChange
    price: f.PriceOrZero
    why: f.Text


class PositionDisputed(Message, frozen=True, kw_only=True):
    """Broker and books differ, seen twice; only the operator settles it. Our stop stays.

    `standing` says how they differ (fewer, more, fraction, other_sign, gone); `halts`: shares of
    ours are missing.
    """

    symbol: f.Symbol
    strategy: f.StrategyName
    standing: f.Word
    ours: f.QtyChange
    theirs: f.Shares
    halts: bool


class PositionRescaled(Message, frozen=True, kw_only=True):
    """A split was followed: `qty` shares now, each worth `old`/`new` of one before.

    `fraction` is what the broker pays in cash; `stop` the protection's price in the new scale.
    """

    symbol: f.Symbol
    strategy: f.StrategyName
    new: f.Ratio
    old: f.Ratio
    qty_before: f.QtyChange
    qty: f.QtyChange
    fraction: f.Shares
    stop: f.Price | None


class PositionRenamed(Message, frozen=True, kw_only=True):
    """The share trades under another symbol; the position is the same."""

    symbol: f.Symbol
    new_symbol: f.Symbol
    strategy: f.StrategyName
    qty: f.QtyChange


class FlatConfirmed(Message, frozen=True, kw_only=True):
    """After a kill with the flatten policy the broker shows none of our shares any more."""

    symbols: Annotated[tuple[f.Symbol, ...], Meta(max_length=5_000)]


class FlatNotConfirmed(Message, frozen=True, kw_only=True):
    """After a kill with the flatten policy these are still held; selling goes on."""

    symbols: Annotated[tuple[f.Symbol, ...], Meta(max_length=5_000)]
    detail: f.Text


class AccountSeen(Message, frozen=True, kw_only=True):
    """The account and market as the broker reports them.

    `holdings` are all positions, `external` the shares among them that are not ours; `drift` names
    symbols on which our books differ, `unreadable` rows that made no sense. `market` is None if the
    broker's clock or calendar could not be read. `live_orders` are the approved orders that have
    not ended yet.
    """

    session: dt.date
    stage: Stage
    account_number: f.OptionalId
    cash: f.Money
    equity: f.Money
    buying_power: f.Money
    blocked: bool
    open_orders: f.Count
    holdings: Annotated[tuple[Holding, ...], Meta(max_length=5_000)]
    drift: Annotated[tuple[f.ForeignName, ...], Meta(max_length=5_000)]
    external: Annotated[tuple[Holding, ...], Meta(max_length=5_000)] = ()
    unreadable: Annotated[tuple[f.ForeignName, ...], Meta(max_length=5_000)] = ()
    market: MarketView | None = None
    live_orders: Annotated[tuple[f.Id, ...], Meta(max_length=5_000)] | None = None


class ScanExecuted(Message, frozen=True, kw_only=True):
    """Every approved order of this phase is terminal and its protection accepted."""

    scan_id: f.Id
    slot: Slot
    phase: Phase
    final: bool
