"""Our books against the broker's: everything is asked in one look, then compared by a pure handler.

Differences become PositionAdjusted, never fills. What vanished is adjusted at once, for nothing can
be sold that is not there; any other disagreement must be seen twice, and then it halts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from services.executor.brokers.protocol import Broker, PositionView
from services.executor.orders import apply_update as updates
from services.executor.orders.outcomes import BrokerSnapshot
from services.executor.orders.state import (
    ExecutorContext,
    PositionDrift,
    ReconcileRequest,
    State,
    live_orders,
    with_halt,
    with_order,
    with_position,
)
from shared.domain.trading import ledger, orders
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import ENDINGS, OrderView
from shared.runtime.runner.contract import Decision, Outgoing
from shared.schemas.messages import AccountSeen, Message, PositionAdjusted
from shared.schemas.values import Ending, Holding, Purpose, Stage

VANISHED = "the broker holds none of it any more"
TRADING = tuple(purpose for purpose in Purpose if purpose is not Purpose.PROTECT)


# --- asking ---------------------------------------------------------------------------------------


def observe(
    broker: Broker,
    state: State,
    request: ReconcileRequest | None,
    session: dt.date,
    *,
    is_journaled: Callable[[str], bool],
) -> BrokerSnapshot:
    """Ask for positions, then orders, then the account.

    A position that is gone was closed by an order seen afterwards; the account holds every fill
    seen. Between bar and close nothing can come that the orders we know do not show.
    Raises TransientError if the broker does not answer.
    """
    positions, listed = broker.positions(), broker.open_orders()
    views = {view.client_order_id: view for view in listed.ours}
    foreign, cursor = listed.foreign, None
    if request is None or request.stage is not Stage.BAR:
        recent = broker.orders_since(state.cursor)
        views = {view.client_order_id: view for view in recent.ours} | views
        if state.cursor is None or (request and request.stage is Stage.OPEN):
            cursor = max(
                (view.submitted_at for view in recent.ours if view.submitted_at), default=None
            )
    looked_up = _look_up_unlisted(broker, state, views)
    views |= {key: view for key, view in looked_up.items() if view}
    return BrokerSnapshot(
        session=session,
        request=request,
        views=tuple(
            view
            for key, view in views.items()
            if key in state.orders and state.orders[key].was_sent
        ),
        positions=positions,
        account=broker.account(),
        orphans=tuple(
            sorted(key for key, view in views.items() if _is_orphan(view, state, is_journaled))
        ),
        missing=tuple(key for key, view in looked_up.items() if view is None),
        foreign_orders=foreign,
        cursor=cursor,
    )


def _look_up_unlisted(
    broker: Broker, state: State, listed: Mapping[str, OrderView]
) -> dict[str, OrderView | None]:
    """Look up every live order of ours that was not listed; None: the broker does not know it."""
    found: dict[str, OrderView | None] = {}
    for order in state.orders.values():
        if order.live and order.was_sent and order.client_order_id not in listed:
            known = order.broker_order_id
            view = (
                broker.order(known) if known else broker.order_by_client_id(order.client_order_id)
            )
            found[order.client_order_id] = view
    return found


def _is_orphan(view: OrderView, state: State, is_journaled: Callable[[str], bool]) -> bool:
    """Ours by its name, and we do not follow it although it lives; or we never journaled it."""
    order = state.orders.get(view.client_order_id)
    lives = view.status not in ENDINGS
    if order:
        return order.ending is Ending.ABANDONED or (lives and not order.live)
    return lives or not is_journaled(view.client_order_id)


# --- comparing ------------------------------------------------------------------------------------


def on_broker_snapshot(
    state: State, snapshot: BrokerSnapshot, context: ExecutorContext
) -> Decision[State]:
    messages: list[Outgoing] = []
    moved: set[str] = set()
    for view in snapshot.views:
        order = state.orders.get(view.client_order_id)
        if order is None or order.ending is Ending.ABANDONED:
            continue
        state, said = updates.apply_view(state, order, view, at=context.at)
        moved |= {order.symbol} if said else set()
        messages += said
    for name in snapshot.missing:
        state = with_order(state, orders.look_now(state.orders[name], at=context.at))
    state, adjusted, drifting = _compare(state, snapshot, context, moved)
    state = _keep_account(state, snapshot, context)
    messages += adjusted
    if snapshot.request or state.session:
        messages.append(_outgoing(snapshot, _account_message(state, snapshot, drifting)))
    symbols = {*moved, *state.positions}
    return updates.conclude(state, messages, sorted(symbols), at=context.at)


def _outgoing(snapshot: BrokerSnapshot, message: Message) -> Outgoing:
    return Outgoing(
        message, snapshot.session, snapshot.request.correlation_id if snapshot.request else ""
    )


def _keep_account(state: State, snapshot: BrokerSnapshot, context: ExecutorContext) -> State:
    was_blocked = state.account is not None and state.account.blocked
    if snapshot.account.blocked and not was_blocked:
        state = with_halt(state, "the broker has blocked the account")
    held = {view.symbol for view in snapshot.positions}
    return replace(
        state,
        account=snapshot.account,
        checked_at=context.at,
        cursor=snapshot.cursor or state.cursor,
        foreign_orders=snapshot.foreign_orders,
        foreign_positions=len(held - state.positions.keys()),
        reconciles=tuple(request for request in state.reconciles if request != snapshot.request),
    )


def _account_message(
    state: State, snapshot: BrokerSnapshot, drifting: tuple[str, ...]
) -> AccountSeen:
    return AccountSeen(
        session=snapshot.session,
        stage=snapshot.request.stage if snapshot.request else Stage.START,
        account_number=snapshot.account.number,
        cash=snapshot.account.cash,
        equity=snapshot.account.equity,
        buying_power=snapshot.account.buying_power,
        blocked=snapshot.account.blocked,
        open_orders=sum(order.rests for order in state.orders.values()),
        holdings=tuple(
            Holding(symbol=view.symbol, qty=view.qty, average_price=view.average_price)
            for view in snapshot.positions
        ),
        drift=drifting,
        live_orders=tuple(
            order.client_order_id
            for order in state.orders.values()
            if order.live and order.purpose is not Purpose.PROTECT
        ),
        market=snapshot.market,
    )


def _compare(
    state: State, snapshot: BrokerSnapshot, context: ExecutorContext, moved: Collection[str]
) -> tuple[State, list[Outgoing], tuple[str, ...]]:
    """The state with books that agree where they must, adjustments, and symbols that differed."""
    theirs = {view.symbol: view for view in snapshot.positions}
    messages: list[Outgoing] = []
    drifts: dict[str, PositionDrift] = {}
    differing = [
        symbol
        for symbol, held in sorted(state.positions.items())
        if _differs(held, theirs.get(symbol))
    ]
    for symbol in differing:
        view = theirs.get(symbol)
        what = f"{symbol}: we hold {state.positions[symbol].qty}, {_broker_outgoing(view)}"
        drift = _drift(state, symbol, what, context, symbol)
        settled = symbol not in moved and not live_orders(state, symbol, TRADING)
        if settled and (view is None or _is_confirmed(drift, context)):
            state = state if view is None else with_halt(state, f"position drift in {what}")
            state, said = _adjust(state, snapshot, symbol, view)
            messages.append(said)
        else:
            drifts[symbol] = drift
    state, strays = _strays(state, snapshot, context)
    state = _keep_marks(replace(state, drifts=drifts | strays), snapshot, theirs)
    return state, messages, tuple(differing)


def _strays(
    state: State, snapshot: BrokerSnapshot, context: ExecutorContext
) -> tuple[State, dict[str, PositionDrift]]:
    """Orders under our name that we do not follow: seen twice they halt, once."""
    drifts = {}
    for orphan in snapshot.orphans:
        what = f"the broker has an order {orphan} that we do not follow"
        drift = _drift(state, orphan, what, context)
        if _is_confirmed(drift, context) and not drift.alarmed:
            state, drift = with_halt(state, what), replace(drift, alarmed=True)
        drifts[orphan] = drift
    return state, drifts


def _differs(position: HeldLots, view: PositionView | None) -> bool:
    return position.qty != (view.qty if view else 0)


def _broker_outgoing(view: PositionView | None) -> str:
    return f"the broker {view.qty if view else 0}"


def _drift(
    state: State, key: str, what: str, context: ExecutorContext, symbol: str = ""
) -> PositionDrift:
    known = state.drifts.get(key)
    return (
        replace(known, what=what)
        if known
        else PositionDrift(what=what, first_at=context.at, symbol=symbol)
    )


def _is_confirmed(drift: PositionDrift, context: ExecutorContext) -> bool:
    return (context.at - drift.first_at).total_seconds() >= context.settings.drift_seconds


def _adjust(
    state: State, snapshot: BrokerSnapshot, symbol: str, view: PositionView | None
) -> tuple[State, Outgoing]:
    """Our books moved to the broker's. What vanished is valued at its last mark."""
    position = state.positions[symbol]
    theirs = int(view.qty) if view else 0
    price = view.average_price if view else position.mark or position.lots[-1].price
    booked = ledger.book(
        position.lots, qty=theirs - position.qty, price=price, session=snapshot.session
    )
    held = replace(position, lots=booked.lots) if booked.lots else None
    state = replace(with_position(state, symbol, held), realised=state.realised + booked.realised)
    message = PositionAdjusted(
        symbol=symbol,
        strategy=position.strategy,
        qty=theirs - position.qty,
        price=price,
        why=_broker_outgoing(view) if view else VANISHED,
    )
    return state, _outgoing(snapshot, message)


def _keep_marks(
    state: State, snapshot: BrokerSnapshot, theirs: Mapping[str, PositionView]
) -> State:
    """Closing prices, kept for the day a symbol stops trading."""
    if not snapshot.request or snapshot.request.stage is not Stage.MARK:
        return state
    positions = {
        symbol: replace(held, mark=theirs[symbol].mark) if symbol in theirs else held
        for symbol, held in state.positions.items()
    }
    return replace(state, positions=positions)
