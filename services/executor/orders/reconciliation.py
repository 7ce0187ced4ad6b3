"""Our books against the broker's: everything is asked in one look, then compared by a pure handler.

Differences become PositionAdjusted, never fills. What vanished is adjusted at once, for nothing can
be sold that is not there; any other disagreement must be seen twice, and then it halts.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from services.executor.brokers.protocol import Broker, PositionView
from services.executor.orders import apply_update as settle
from services.executor.orders.outcomes import Reconciled
from services.executor.orders.state import (
    Drift,
    ExecutorContext,
    ReconcileWish,
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
    asked: ReconcileWish | None,
    session: dt.date,
    *,
    journaled: Callable[[str], bool],
) -> Reconciled:
    """Positions before orders: one that is gone was closed by an order we see afterwards. The account at last, so
    that it holds every fill seen.

    Raises TransientError. Between bar and close nothing can come that the orders we know do not
    show.
    """
    positions, listed = broker.positions(), broker.open_orders()
    views = {view.client_order_id: view for view in listed.ours}
    foreign, cursor = listed.foreign, None
    if asked is None or asked.stage is not Stage.BAR:
        recent = broker.orders_since(state.cursor)
        views = {view.client_order_id: view for view in recent.ours} | views
        if state.cursor is None or (asked and asked.stage is Stage.OPEN):
            cursor = max(
                (view.submitted_at for view in recent.ours if view.submitted_at), default=None
            )
    looked_up = _looked_up(broker, state, views)
    views |= {key: view for key, view in looked_up.items() if view}
    return Reconciled(
        session=session,
        asked=asked,
        views=tuple(
            view
            for key, view in views.items()
            if key in state.orders and state.orders[key].was_sent
        ),
        positions=positions,
        account=broker.account(),
        orphans=tuple(
            sorted(key for key, view in views.items() if _orphaned(view, state, journaled))
        ),
        missing=tuple(key for key, view in looked_up.items() if view is None),
        foreign_orders=foreign,
        cursor=cursor,
    )


def _looked_up(
    broker: Broker, state: State, listed: Mapping[str, OrderView]
) -> dict[str, OrderView | None]:
    """Every order of ours that is live to us and not in the list; None: the broker does not know it."""
    found: dict[str, OrderView | None] = {}
    for order in state.orders.values():
        if order.live and order.was_sent and order.client_order_id not in listed:
            known = order.broker_order_id
            view = (
                broker.order(known) if known else broker.order_by_client_id(order.client_order_id)
            )
            found[order.client_order_id] = view
    return found


def _orphaned(view: OrderView, state: State, journaled: Callable[[str], bool]) -> bool:
    """Ours by its name, and we do not follow it although it lives; or we never journaled it."""
    order = state.orders.get(view.client_order_id)
    lives = view.status not in ENDINGS
    if order:
        return order.ending is Ending.ABANDONED or (lives and not order.live)
    return lives or not journaled(view.client_order_id)


# --- comparing ------------------------------------------------------------------------------------


def on_reconciled(state: State, seen: Reconciled, context: ExecutorContext) -> Decision[State]:
    words: list[Outgoing] = []
    moved: set[str] = set()
    for view in seen.views:
        order = state.orders.get(view.client_order_id)
        if order is None or order.ending is Ending.ABANDONED:
            continue
        state, said = settle.taken(state, order, view, at=context.at)
        moved |= {order.symbol} if said else set()
        words += said
    for name in seen.missing:
        state = with_order(state, orders.look_now(state.orders[name], at=context.at))
    state, adjusted, drifting = _compared(state, seen, context, moved)
    state = _account(state, seen, context)
    words += adjusted
    if seen.asked or state.session:
        words.append(_says(seen, _account_seen(state, seen, drifting)))
    symbols = {*moved, *state.positions}
    return settle.concluded(state, words, sorted(symbols), at=context.at)


def _says(seen: Reconciled, message: Message) -> Outgoing:
    return Outgoing(message, seen.session, seen.asked.correlation_id if seen.asked else "")


def _account(state: State, seen: Reconciled, context: ExecutorContext) -> State:
    was_blocked = state.account is not None and state.account.blocked
    if seen.account.blocked and not was_blocked:
        state = with_halt(state, "the broker has blocked the account")
    held = {view.symbol for view in seen.positions}
    return replace(
        state,
        account=seen.account,
        checked_at=context.at,
        cursor=seen.cursor or state.cursor,
        foreign_orders=seen.foreign_orders,
        foreign_positions=len(held - state.positions.keys()),
        reconciles=tuple(wish for wish in state.reconciles if wish != seen.asked),
    )


def _account_seen(state: State, seen: Reconciled, drifting: tuple[str, ...]) -> AccountSeen:
    return AccountSeen(
        session=seen.session,
        stage=seen.asked.stage if seen.asked else Stage.START,
        account_number=seen.account.number,
        cash=seen.account.cash,
        equity=seen.account.equity,
        buying_power=seen.account.buying_power,
        blocked=seen.account.blocked,
        open_orders=sum(order.rests for order in state.orders.values()),
        holdings=tuple(
            Holding(symbol=view.symbol, qty=view.qty, average_price=view.average_price)
            for view in seen.positions
        ),
        drift=drifting,
    )


def _compared(
    state: State, seen: Reconciled, context: ExecutorContext, moved: Collection[str]
) -> tuple[State, list[Outgoing], tuple[str, ...]]:
    """The state with books that agree where they must, what was adjusted, and the symbols that differed."""
    theirs = {view.symbol: view for view in seen.positions}
    words: list[Outgoing] = []
    drifts: dict[str, Drift] = {}
    differing = [
        symbol
        for symbol, held in sorted(state.positions.items())
        if _differs(held, theirs.get(symbol))
    ]
    for symbol in differing:
        view = theirs.get(symbol)
        what = f"{symbol}: we hold {state.positions[symbol].qty}, {_told(view)}"
        drift = _drift(state, symbol, what, context, symbol)
        settled = symbol not in moved and not live_orders(state, symbol, TRADING)
        if settled and (view is None or _seen_twice(drift, context)):
            state = state if view is None else with_halt(state, f"position drift in {what}")
            state, said = _adjusted(state, seen, symbol, view)
            words.append(said)
        else:
            drifts[symbol] = drift
    state, strays = _strays(state, seen, context)
    state = _marked(replace(state, drifts=drifts | strays), seen, theirs)
    return state, words, tuple(differing)


def _strays(
    state: State, seen: Reconciled, context: ExecutorContext
) -> tuple[State, dict[str, Drift]]:
    """Orders under our name that we do not follow: seen twice they halt, once."""
    drifts = {}
    for orphan in seen.orphans:
        what = f"the broker has an order {orphan} that we do not follow"
        drift = _drift(state, orphan, what, context)
        if _seen_twice(drift, context) and not drift.alarmed:
            state, drift = with_halt(state, what), replace(drift, alarmed=True)
        drifts[orphan] = drift
    return state, drifts


def _differs(position: HeldLots, view: PositionView | None) -> bool:
    return position.qty != (view.qty if view else 0)


def _told(view: PositionView | None) -> str:
    return f"the broker {view.qty if view else 0}"


def _drift(state: State, key: str, what: str, context: ExecutorContext, symbol: str = "") -> Drift:
    known = state.drifts.get(key)
    return (
        replace(known, what=what) if known else Drift(what=what, first_at=context.at, symbol=symbol)
    )


def _seen_twice(drift: Drift, context: ExecutorContext) -> bool:
    return (context.at - drift.first_at).total_seconds() >= context.settings.drift_seconds


def _adjusted(
    state: State, seen: Reconciled, symbol: str, view: PositionView | None
) -> tuple[State, Outgoing]:
    """Our books moved to the broker's. What vanished is valued at its last mark."""
    position = state.positions[symbol]
    theirs = int(view.qty) if view else 0
    price = view.average_price if view else position.mark or position.lots[-1].price
    booked = ledger.book(
        position.lots, qty=theirs - position.qty, price=price, session=seen.session
    )
    held = replace(position, lots=booked.lots) if booked.lots else None
    state = replace(with_position(state, symbol, held), realised=state.realised + booked.realised)
    message = PositionAdjusted(
        symbol=symbol,
        strategy=position.strategy,
        qty=theirs - position.qty,
        price=price,
        why=_told(view) if view else VANISHED,
    )
    return state, _says(seen, message)


def _marked(state: State, seen: Reconciled, theirs: Mapping[str, PositionView]) -> State:
    """Closing prices, kept for the day a symbol stops trading."""
    if not seen.asked or seen.asked.stage is not Stage.MARK:
        return state
    positions = {
        symbol: replace(held, mark=theirs[symbol].mark) if symbol in theirs else held
        for symbol, held in state.positions.items()
    }
    return replace(state, positions=positions)
