"""All the simulated broker knows about its account: orders, positions, cash, where in the session it stands.

Changed by the exchange alone, by whole values; remembers what has changed so that the journal can
keep it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.market_hours import OPEN_STAGES
from services.sim_broker.exchange.order import Order, OrderType, Update, identity
from services.sim_broker.exchange.position import Position
from shared.schemas.values import Side, Stage, Value


class Account(Value, frozen=True, kw_only=True):
    """`at` is the broker's clock, moved by stages; `sequence` numbers all that happens, so that ids are derived."""

    number: str
    cash: Decimal
    last_equity: Decimal
    created_at: dt.datetime
    at: dt.datetime
    session: dt.date | None = None
    stage: Stage = Stage.START
    sequence: int = 0
    sequence_at_stage: int = 0
    fills: int = 0
    suspended: bool = False

    @property
    def is_open(self) -> bool:
        return self.session is not None and self.stage in OPEN_STAGES

    @property
    def now(self) -> dt.datetime:
        """Strictly later with everything that happens in a stage, so that lists by time lose nothing."""
        return self.at + dt.timedelta(microseconds=self.sequence - self.sequence_at_stage)


class Changes(Value, frozen=True, kw_only=True):
    """What a step changed, as it is after it; a position of None is gone."""

    account: Account
    orders: tuple[Order, ...]
    positions: dict[str, Position | None]


class Book:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.orders: dict[str, Order] = {}
        self.positions: dict[str, Position] = {}
        self._updates: list[Update] = []
        self._by_client_id: dict[str, str] = {}
        self._open: dict[str, None] = {}
        self._kept: Account | None = None
        self._changed_orders: dict[str, None] = {}
        self._changed_symbols: dict[str, None] = {}

    # --- changing ---------------------------------------------------------------------------------

    def put(self, order: Order) -> Order:
        self.orders[order.id] = order
        self._by_client_id[order.client_order_id] = order.id
        if order.is_open:
            self._open[order.id] = None
        else:
            self._open.pop(order.id, None)
        self._changed_orders[order.id] = None
        return order

    def put_position(self, position: Position) -> None:
        if position.qty:
            self.positions[position.symbol] = position
        else:
            self.positions.pop(position.symbol, None)
        self._changed_symbols[position.symbol] = None

    def tick(self) -> int:
        """The number of the next thing that happens."""
        self.account = replace(self.account, sequence=self.account.sequence + 1)
        return self.account.sequence

    def record(
        self,
        event: str,
        order: Order,
        *,
        price: Decimal | None = None,
        qty: int | None = None,
        position_qty: int | None = None,
    ) -> Order:
        """Keep the order as it now is and tell whoever listens what happened to it."""
        number = self.tick()
        now = self.account.now
        order = self.put(replace(order, updated_at=now))
        update = Update(
            event=event,
            order=order,
            at=now,
            execution_id=identity(self.account.number, "execution", number),
            price=price,
            qty=qty,
            position_qty=position_qty,
        )
        self._updates.append(update)
        return order

    def take_updates(self) -> list[Update]:
        """What happened to orders since this was last asked."""
        updates, self._updates = self._updates, []
        return updates

    def take_changes(self) -> Changes | None:
        """What has changed since this was last asked, if anything."""
        if self.account is self._kept and not self._changed_symbols:
            return None
        changes = Changes(
            account=self.account,
            orders=tuple(self.orders[order_id] for order_id in self._changed_orders),
            positions={symbol: self.positions.get(symbol) for symbol in self._changed_symbols},
        )
        self._kept, self._changed_orders, self._changed_symbols = self.account, {}, {}
        return changes

    def restore(self, changes: Changes) -> None:
        """Take over what another book has changed; as kept as it was there."""
        self.account = self._kept = changes.account
        for order in changes.orders:
            self.put(order)
        for symbol, position in changes.positions.items():
            if position:
                self.positions[symbol] = position
            else:
                self.positions.pop(symbol, None)
        self._changed_orders = {}

    def everything(self) -> Changes:
        return Changes(
            account=self.account, orders=tuple(self.orders.values()), positions=dict(self.positions)
        )

    # --- asking -----------------------------------------------------------------------------------

    def by_client_id(self, client_order_id: str) -> Order | None:
        order_id = self._by_client_id.get(client_order_id)
        return self.orders[order_id] if order_id else None

    def leg(self, order: Order) -> Order | None:
        return self.orders[order.leg_id] if order.leg_id else None

    def open_orders(self, symbol: str | None = None) -> Iterator[Order]:
        """Working orders, oldest first; an OCO once, without its leg. Safe while they are being changed."""
        for order_id in list(self._open):
            order = self.orders[order_id]
            if order.is_open and not order.parent_id and symbol in (None, order.symbol):
                yield order

    def all_open(self) -> Iterator[Order]:
        """The same with the legs of OCOs."""
        return (self.orders[order_id] for order_id in self._open)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def held(self, symbol: str) -> int:
        """Signed shares."""
        position = self.positions.get(symbol)
        return position.qty if position else 0

    def available(self, symbol: str) -> int:
        """Held shares (unsigned) that no working order is about to close."""
        held = self.held(symbol)
        closing = Side.SELL if held > 0 else Side.BUY
        return abs(held) - sum(
            order.remaining for order in self.open_orders(symbol) if order.side is closing
        )

    @property
    def equity(self) -> Decimal:
        return self.account.cash + sum(
            (each.market_value for each in list(self.positions.values())), Decimal(0)
        )

    @property
    def buying_power(self) -> Decimal:
        """Cash that neither a working buy nor the shares owed for a short may still need."""
        owed = sum(
            (-each.market_value for each in list(self.positions.values()) if each.qty < 0),
            Decimal(0),
        )
        reserved = sum((self._reserved(order) for order in self.open_orders()), Decimal(0))
        return max(self.account.cash - owed - reserved, Decimal(0))

    def _reserved(self, order: Order) -> Decimal:
        if (
            order.side is not Side.BUY
            or self.held(order.symbol) < 0
            or order.type is OrderType.MARKET
        ):
            return Decimal(0)
        return order.remaining * (order.limit_price or order.stop_price or Decimal(0))
