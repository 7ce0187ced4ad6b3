"""Everything the simulated broker knows about its account: orders, positions, cash, clock.

Changed by the exchange alone, always by whole values. Tracks what has changed, so that the journal
can record it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.market_hours import OPEN_STAGES
from services.sim_broker.exchange.order import BrokerOrder, OrderType, OrderUpdate, identity
from services.sim_broker.exchange.position import AccountPosition
from shared.schemas.values import Side, Stage, Value


class Account(Value, frozen=True, kw_only=True):
    """Cash and clock of the account.

    `at` is the broker's clock, moved by stages; `sequence` numbers every event, so that ids are
    derived and never drawn.
    """

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
        """The clock plus 1 µs per event of this stage, so that listing by time loses nothing."""
        return self.at + dt.timedelta(microseconds=self.sequence - self.sequence_at_stage)


class Changes(Value, frozen=True, kw_only=True):
    """What one step changed, as it stands afterwards; a position of None was closed."""

    account: Account
    orders: tuple[BrokerOrder, ...]
    positions: dict[str, AccountPosition | None]


class AccountBook:
    def __init__(self, account: Account) -> None:
        self.account = account
        self.orders: dict[str, BrokerOrder] = {}
        self.positions: dict[str, AccountPosition] = {}
        self._updates: list[OrderUpdate] = []
        self._by_client_id: dict[str, str] = {}
        self._open: dict[str, None] = {}
        self._kept: Account | None = None
        self._changed_orders: dict[str, None] = {}
        self._changed_symbols: dict[str, None] = {}

    # --- changing ---------------------------------------------------------------------------------

    def put(self, order: BrokerOrder) -> BrokerOrder:
        self.orders[order.id] = order
        self._by_client_id[order.client_order_id] = order.id
        if order.is_open:
            self._open[order.id] = None
        else:
            self._open.pop(order.id, None)
        self._changed_orders[order.id] = None
        return order

    def put_position(self, position: AccountPosition) -> None:
        if position.qty:
            self.positions[position.symbol] = position
        else:
            self.positions.pop(position.symbol, None)
        self._changed_symbols[position.symbol] = None

    def tick(self) -> int:
        """Number the next event."""
        self.account = replace(self.account, sequence=self.account.sequence + 1)
        return self.account.sequence

    def record(
        self,
        event: str,
        order: BrokerOrder,
        *,
        price: Decimal | None = None,
        qty: int | None = None,
        position_qty: int | None = None,
    ) -> BrokerOrder:
        """Store the order as it now is and queue the update for subscribers."""
        number = self.tick()
        now = self.account.now
        order = self.put(replace(order, updated_at=now))
        update = OrderUpdate(
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

    def drain_updates(self) -> list[OrderUpdate]:
        """Return the updates queued since the last call."""
        updates, self._updates = self._updates, []
        return updates

    def drain_changes(self) -> Changes | None:
        """Return what has changed since the last call, None if nothing has."""
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
        """Apply the recorded changes of an earlier process; they count as recorded here too."""
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

    # --- reading ----------------------------------------------------------------------------------

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        order_id = self._by_client_id.get(client_order_id)
        return self.orders[order_id] if order_id else None

    def leg(self, order: BrokerOrder) -> BrokerOrder | None:
        return self.orders[order.leg_id] if order.leg_id else None

    def open_orders(self, symbol: str | None = None) -> Iterator[BrokerOrder]:
        """Working orders, oldest first; an OCO without its leg.

        The book may be changed while iterating.
        """
        for order_id in list(self._open):
            order = self.orders[order_id]
            if order.is_open and not order.parent_id and symbol in (None, order.symbol):
                yield order

    def all_open(self) -> Iterator[BrokerOrder]:
        """Working orders with the legs of OCOs."""
        return (self.orders[order_id] for order_id in self._open)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def shares(self, symbol: str) -> int:
        """Shares held, negative for a short."""
        position = self.positions.get(symbol)
        return position.qty if position else 0

    def available(self, symbol: str) -> int:
        """Held shares (unsigned) that no working order reserves for closing."""
        held = self.shares(symbol)
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
        """Cash reserved neither for working buys nor for buying back shorts."""
        owed = sum(
            (-each.market_value for each in list(self.positions.values()) if each.qty < 0),
            Decimal(0),
        )
        reserved = sum((self._reservation(order) for order in self.open_orders()), Decimal(0))
        return max(self.account.cash - owed - reserved, Decimal(0))

    def _reservation(self, order: BrokerOrder) -> Decimal:
        if (
            order.side is not Side.BUY
            or self.shares(order.symbol) < 0
            or order.type is OrderType.MARKET
        ):
            return Decimal(0)
        return order.remaining * (order.limit_price or order.stop_price or Decimal(0))
