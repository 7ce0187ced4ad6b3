"""What became of a pending action, as work reports it to the handlers.

Frozen values, one for each thing the world can do to us.
"""

import datetime as dt
from decimal import Decimal

from services.executor.brokers.protocol import AccountView, PositionView
from services.executor.orders.judgement import CorporateAction
from services.executor.orders.state import ReconcileRequest, State
from shared.domain.trading.orders import OrderView
from shared.schemas.values import Ending, MarketView, Value


class OrderObserved(Value, frozen=True, kw_only=True):
    """The broker shows our order so; `canceling`: we have just asked for its end."""

    view: OrderView
    canceling: bool = False


class SubmitRefused(Value, frozen=True, kw_only=True):
    """It will not be at the broker. `posted`: the broker refused it; else we never asked.

    `passes`: what was refused now may be taken later.
    """

    client_order_id: str
    ending: Ending
    detail: str
    posted: bool = False
    passes: bool = False
    halts: bool = False


class SubmitDelayed(Value, frozen=True, kw_only=True):
    """Surely not taken; again at `until`. `counted`: it was a try."""

    client_order_id: str
    until: dt.datetime
    detail: str
    counted: bool = True


class SubmitUnknown(Value, frozen=True, kw_only=True):
    """Sent, and nobody knows whether it was taken."""

    client_order_id: str
    detail: str


class OrderNotFound(Value, frozen=True, kw_only=True):
    """Looked up by its id: the broker knows no such order. `sent_at` as journaled."""

    client_order_id: str
    sent_at: dt.datetime | None = None


class LookupFailed(Value, frozen=True, kw_only=True):
    """Looked up, and the broker did not answer."""

    client_order_id: str
    detail: str
    canceling: bool = False


class ApprovalRepeated(Value, frozen=True, kw_only=True):
    """An approval that was carried out before; "" for one that only had to be logged."""

    decision_id: str
    client_order_id: str = ""


class HaltLatched(Value, frozen=True, kw_only=True):
    """The kill latch has been set for this reason."""

    why: str


class StopPassed(Value, frozen=True, kw_only=True):
    """A protection was not sent: at `price` the market has gone through its stop already."""

    client_order_id: str
    price: Decimal


class ScaleDoubtful(Value, frozen=True, kw_only=True):
    """A protection was not sent: its stop is passed, but a split may have moved the price."""

    client_order_id: str
    theirs: Decimal


class SymbolEvidence(Value, frozen=True, kw_only=True):
    """A second look at one symbol, by other questions than the first.

    `foreign` is what orders of others have traded in it since the position was opened.
    """

    symbol: str
    position: PositionView | None
    foreign: Decimal


class BrokerSnapshot(Value, frozen=True, kw_only=True):
    """What the broker says of everything: orders (`views`), positions, account.

    `orphans` are orders with our prefix that neither state nor journal knows; `missing` are orders
    of ours that the broker does not know; `unreadable` names rows that made no sense. `request`:
    what it answers; None if we looked by ourselves. `cursor`: None leaves it where it is.
    """

    session: dt.date
    request: ReconcileRequest | None
    views: tuple[OrderView, ...]
    positions: tuple[PositionView, ...]
    evidence: tuple[SymbolEvidence, ...]
    actions: tuple[CorporateAction, ...]
    account: AccountView
    orphans: tuple[str, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    foreign_orders: int
    cursor: dt.datetime | None
    market: MarketView | None = None


class ReconcileFailed(Value, frozen=True, kw_only=True):
    """The broker did not answer all of it; asked again after a pause that grows."""

    detail: str


class BooksRestored(Value, frozen=True, kw_only=True):
    """Redis held an older state than the journal: these are the books to go on from."""

    state: State


class FlattenBegun(Value, frozen=True, kw_only=True):
    """After a kill every position of ours is to be sold."""


class ActionFailed(Value, frozen=True, kw_only=True):
    """Something nobody foresaw came up while an action was carried out, about an order or ""."""

    client_order_id: str
    error: str


SubmissionOutcome = (
    OrderObserved
    | SubmitRefused
    | SubmitDelayed
    | SubmitUnknown
    | OrderNotFound
    | LookupFailed
    | ApprovalRepeated
    | StopPassed
    | ScaleDoubtful
)
"""What sending, looking up or canceling one order can bring."""
