"""Asking the broker about everything at once: positions, orders, account, and what is in doubt.

Called by the executor's work; the answer is compared by `reconciliation.py`. It only asks.
"""

import datetime as dt
from collections.abc import Callable, Mapping

from services.executor.brokers.protocol import Broker, OrderList, PositionList
from services.executor.orders.judgement import CorporateAction, actions_from
from services.executor.orders.outcomes import BrokerSnapshot, SymbolEvidence
from services.executor.orders.state import ReconcileRequest, State
from shared.domain.errors import TransientError
from shared.domain.trading.orders import ENDINGS, OrderView
from shared.schemas.values import Ending, Stage

CURSOR_OVERLAP = dt.timedelta(minutes=10)
"""Orders are listed again from so long before the last one: a broker may show one late."""
ANNOUNCED_DAYS = 5
"""Corporate actions are asked for so many days back: announcements come late, too."""


def observe(
    broker: Broker,
    state: State,
    request: ReconcileRequest | None,
    session: dt.date,
    *,
    at: dt.datetime,
    is_journaled: Callable[[str], bool],
    at_once: bool = False,
) -> BrokerSnapshot:
    """Ask for positions, then orders, then the account.

    A position that is gone was closed by an order seen afterwards; the account holds every fill
    seen. What differed before is asked about by a question of its own, `at_once` what differs now.
    Between bar and close nothing can come that the orders we know do not show.
    Raises TransientError if the broker does not answer.
    """
    positions, listed = broker.positions(), broker.open_orders()
    views = {view.client_order_id: view for view in listed.ours}
    unreadable = {*positions.unreadable, *listed.unreadable}
    cursor = None
    if request is None or request.stage is not Stage.BAR:
        recent = broker.orders_since(state.cursor)
        views = {view.client_order_id: view for view in recent.ours} | views
        unreadable |= set(recent.unreadable)
        if state.cursor is None or (request and request.stage is Stage.OPEN):
            cursor = _cursor_after(recent)
    looked_up = _look_up_unlisted(broker, state, views)
    views |= {key: view for key, view in looked_up.items() if view}
    doubtful = {symbol for symbol, drift in state.drifts.items() if drift.due_at <= at}
    doubtful = doubtful & state.positions.keys()
    if at_once:
        doubtful |= _differing(state, positions, views)
    return BrokerSnapshot(
        session=session,
        request=request,
        views=tuple(view for key, view in views.items() if _is_followed(state, key)),
        positions=positions.rows,
        evidence=tuple(evidence_of(broker, state, symbol) for symbol in sorted(doubtful)),
        actions=_announcements(broker, state, request, session),
        account=broker.account(),
        orphans=tuple(
            sorted(key for key, view in views.items() if _is_orphan(view, state, is_journaled))
        ),
        missing=tuple(key for key, view in looked_up.items() if view is None),
        unreadable=tuple(sorted(unreadable)),
        foreign_orders=listed.foreign,
        cursor=cursor,
    )


def _cursor_after(recent: OrderList) -> dt.datetime | None:
    last = max((view.submitted_at for view in recent.ours if view.submitted_at), default=None)
    return last - CURSOR_OVERLAP if last else None


def _look_up_unlisted(
    broker: Broker, state: State, listed: Mapping[str, OrderView]
) -> dict[str, OrderView | None]:
    """Look up what was not listed; None: the broker does not know it.

    Every live order of ours, those given up (they may have arrived after all), and strays.
    """
    found: dict[str, OrderView | None] = {}
    for order in state.orders.values():
        given_up = order.ending is Ending.ABANDONED
        if order.was_sent and (order.live or given_up) and order.client_order_id not in listed:
            known = order.broker_order_id
            view = (
                broker.order(known) if known else broker.order_by_client_id(order.client_order_id)
            )
            if view or not given_up:
                found[order.client_order_id] = view
    for name in state.strays:
        if name not in listed and (view := broker.order_by_client_id(name)):
            found[name] = view
    return found


def _is_followed(state: State, client_order_id: str) -> bool:
    order = state.orders.get(client_order_id)
    return order is not None and order.was_sent


def _is_orphan(view: OrderView, state: State, is_journaled: Callable[[str], bool]) -> bool:
    """Ours by its name, and we do not follow it although it lives; or we never journaled it."""
    lives = view.status not in ENDINGS
    order = state.orders.get(view.client_order_id)
    if order:
        return lives and not order.live and order.ending is not Ending.ABANDONED
    return lives or not is_journaled(view.client_order_id)


def _differing(state: State, positions: PositionList, views: Mapping[str, OrderView]) -> set[str]:
    """Symbols of other shares than ours that no fill seen with them explains."""
    theirs = {view.symbol: view.qty for view in positions.rows}
    filled = {
        state.orders[name].symbol
        for name, view in views.items()
        if name in state.orders and view.filled_qty != state.orders[name].filled_qty
    }
    return {
        symbol
        for symbol, held in state.positions.items()
        if symbol not in filled and held.qty != theirs.get(symbol, 0)
    }


def evidence_of(broker: Broker, state: State, symbol: str) -> SymbolEvidence:
    """A second look at one symbol, by other questions: itself alone, and others' executions."""
    held = state.positions[symbol]
    since = held.opened_at or dt.datetime.combine(held.lots[0].session, dt.time(), dt.UTC)
    return SymbolEvidence(
        symbol=symbol,
        position=broker.position(symbol),
        foreign=broker.foreign_executions(symbol, since),
    )


def _announcements(
    broker: Broker, state: State, request: ReconcileRequest | None, session: dt.date
) -> tuple[CorporateAction, ...]:
    """Before each open, and whenever a position differs; without an answer there are none."""
    opening = request is not None and request.stage in (Stage.START, Stage.OPEN)
    if not state.positions or not (opening or state.drifts):
        return ()
    since = session - dt.timedelta(days=ANNOUNCED_DAYS)
    try:
        found = actions_from(broker.corporate_actions(list(state.positions), since, session))
    except TransientError:
        return ()
    return tuple(action for action in found if action.symbol in state.positions)
