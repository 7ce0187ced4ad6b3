"""Everything the simulated broker knows about its account: orders, positions, cash, clock.

Changed by the exchange alone, always by whole values. Tracks what has changed, so that the journal
can record it.
"""

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

from msgspec.structs import replace

from services.sim_broker.exchange.activity import Activity
from services.sim_broker.exchange.listings import Listings
from services.sim_broker.exchange.market_hours import OPEN_STAGES, stage_at
from services.sim_broker.exchange.order import BrokerOrder, OrderType, OrderUpdate
from services.sim_broker.exchange.position import AccountPosition
from services.sim_broker.exchange.world_events import CorporateEvent, WorldEvent
from shared.runtime.clock import Clock
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
    blocked: bool = False
    listings: Listings = Listings()
    scheduled: tuple[WorldEvent, ...] = ()
    announced: tuple[CorporateEvent, ...] = ()

    @property
    def is_open(self) -> bool:
        return (
            self.session is not None
            and self.stage in OPEN_STAGES
            and self.session not in self.listings.closures
        )


class Changes(Value, frozen=True, kw_only=True):
    """What one step changed, as it stands afterwards; a position of None was closed."""

    account: Account
    orders: tuple[BrokerOrder, ...]
    positions: dict[str, AccountPosition | None]
    activities: tuple[Activity, ...] = ()


class AccountBook:
    """`clock` makes the broker's clock run; without one it moves with the stages alone."""

    def __init__(self, account: Account, clock: Clock | None = None) -> None:
        self.account, self._clock = account, clock
        self.activities: list[Activity] = []
        self.orders: dict[str, BrokerOrder] = {}
        self.positions: dict[str, AccountPosition] = {}
        self._updates: list[OrderUpdate] = []
        self._by_client_id: dict[str, str] = {}
        self._open: dict[str, None] = {}
        self._kept: Account | None = None
        self._kept_activities = 0
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
        account = replace(self.account, sequence=self.account.sequence + 1)
        if self._clock:
            later = account.at + dt.timedelta(microseconds=1)
            account = replace(
                account,
                at=max(later, self._clock.now()),
                sequence_at_stage=account.sequence,
            )
        self.account = account
        return account.sequence

    @property
    def now(self) -> dt.datetime:
        """The clock plus 1 µs per event of this stage, so that listing by time loses nothing."""
        account = self.account
        if self._clock:
            return max(account.at, self._clock.now())
        return account.at + dt.timedelta(microseconds=account.sequence - account.sequence_at_stage)

    def stage_time(self, session: dt.date, stage: Stage) -> dt.datetime:
        """What the broker's clock shows when it enters a stage."""
        if self._clock:
            return max(self.account.at, self._clock.now())
        return stage_at(session, stage)

    def note_activity(self, activity: Activity) -> None:
        """Record what happened to cash or shares besides orders' fills."""
        self.tick()
        self.activities.append(activity)

    def record(
        self,
        event: str,
        order: BrokerOrder,
        *,
        price: Decimal | None = None,
        qty: Decimal | None = None,
        position_qty: Decimal | None = None,
    ) -> BrokerOrder:
        """Store the order as it now is and queue the update for subscribers."""
        number = self.tick()
        now = self.now
        order = self.put(replace(order, updated_at=now))
        update = OrderUpdate(
            event=event,
            order=order,
            at=now,
            execution_id=OrderUpdate.execution_id_of(self.account.number, number),
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
            activities=tuple(self.activities[self._kept_activities :]),
        )
        self._kept_activities = len(self.activities)
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
        self.activities += changes.activities
        self._kept_activities = len(self.activities)
        self._changed_orders = {}

    def everything(self) -> Changes:
        return Changes(
            account=self.account,
            orders=tuple(self.orders.values()),
            positions=dict(self.positions),
            activities=tuple(self.activities),
        )

    # --- reading ----------------------------------------------------------------------------------

    def order_by_client_id(self, client_order_id: str) -> BrokerOrder | None:
        order_id = self._by_client_id.get(client_order_id)
        return self.orders[order_id] if order_id else None

    def leg(self, order: BrokerOrder) -> BrokerOrder | None:
        return self.orders[order.leg_id] if order.leg_id else None

    def open_orders(self, symbol: str | None = None) -> Iterator[BrokerOrder]:
        """Working orders, oldest first; an OCO without its leg, unless the leg alone works.

        The book may be changed while iterating.
        """
        for order_id in list(self._open):
            order = self.orders[order_id]
            stands_alone = order.is_open and not self._has_open_parent(order)
            if stands_alone and symbol in (None, order.symbol):
                yield order

    def _has_open_parent(self, order: BrokerOrder) -> bool:
        return bool(order.parent_id) and self.orders[order.parent_id].is_open

    def all_open(self) -> Iterator[BrokerOrder]:
        """Working orders with the legs of OCOs."""
        return (self.orders[order_id] for order_id in self._open)

    @property
    def open_count(self) -> int:
        return len(self._open)

    def shares(self, symbol: str) -> Decimal:
        """Shares held, negative for a short."""
        position = self.positions.get(symbol)
        return position.qty if position else Decimal(0)

    def available(self, symbol: str) -> Decimal:
        """Held shares (unsigned) that no working order reserves for closing."""
        held = self.shares(symbol)
        closing = Side.SELL if held > 0 else Side.BUY
        return abs(held) - sum(
            (order.remaining for order in self.open_orders(symbol) if order.side is closing),
            Decimal(0),
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
