"""What a snapshot says of the account: remembered, and published as AccountSeen. Pure.

Called by the reconciliation after the books were compared.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from services.executor.brokers.protocol import PositionView
from services.executor.orders.judgement import judge
from services.executor.orders.outcomes import BrokerSnapshot
from services.executor.orders.state import State, with_halt
from shared.schemas import messages as m
from shared.schemas.values import Holding, Purpose, Stage


def keep_account(
    state: State, snapshot: BrokerSnapshot, theirs: dict[str, PositionView], *, at: dt.datetime
) -> State:
    """Remember what the snapshot says of the account; a blocked one halts, once."""
    was_blocked = state.account is not None and state.account.blocked
    if snapshot.account.blocked and not was_blocked:
        state = with_halt(state, "the broker has blocked the account")
    state = replace(
        state,
        account=snapshot.account,
        checked_at=at,
        retry_at=None,
        failures=0,
        cursor=snapshot.cursor or state.cursor,
        foreign_orders=snapshot.foreign_orders,
        external=_external(state, theirs),
        accepted={key: qty for key, qty in state.accepted.items() if key in state.positions},
        drifts={key: drift for key, drift in state.drifts.items() if key in state.positions},
        disputes={key: each for key, each in state.disputes.items() if key in state.positions},
        unreadable=snapshot.unreadable,
        reconciles=tuple(each for each in state.reconciles if each != snapshot.request),
    )
    return _keep_prices(state, snapshot, theirs)


def _external(state: State, theirs: dict[str, PositionView]) -> dict[str, Decimal]:
    """Shares that are not ours: all of a symbol we do not hold, else those beyond our own."""
    found = {}
    for symbol, view in theirs.items():
        held = state.positions.get(symbol)
        beyond = judge(held, view.qty).external if held else view.qty
        if beyond:
            found[symbol] = beyond
    return found


def _keep_prices(state: State, snapshot: BrokerSnapshot, theirs: dict[str, PositionView]) -> State:
    """The last price of what is held; the closing one is kept for the day it stops trading.

    Of shares on which broker and books differ it may be in another scale.
    """
    closing = snapshot.request is not None and snapshot.request.stage is Stage.MARK
    differing = {*state.drifts, *state.disputes}
    marks = {
        symbol: view.mark
        for symbol, view in theirs.items()
        if view.mark is not None and symbol not in differing
    }
    positions = {
        symbol: replace(held, price=marks[symbol], mark=marks[symbol] if closing else held.mark)
        if symbol in marks
        else held
        for symbol, held in state.positions.items()
    }
    return replace(state, positions=positions)


def account_message(state: State, snapshot: BrokerSnapshot) -> m.AccountSeen:
    return m.AccountSeen(
        session=snapshot.session,
        stage=snapshot.request.stage if snapshot.request else Stage.START,
        account_number=snapshot.account.number,
        cash=snapshot.account.cash,
        equity=snapshot.account.equity,
        buying_power=snapshot.account.buying_power,
        blocked=snapshot.account.blocked,
        open_orders=sum(order.rests for order in state.orders.values()),
        holdings=_holdings(snapshot.positions),
        external=_holdings(
            [
                replace(view, qty=state.external[view.symbol])
                for view in snapshot.positions
                if view.symbol in state.external
            ]
        ),
        drift=tuple(sorted({*state.drifts, *state.disputes})),
        unreadable=snapshot.unreadable,
        live_orders=tuple(
            order.client_order_id
            for order in state.orders.values()
            if order.live and order.purpose is not Purpose.PROTECT
        ),
        market=snapshot.market,
    )


def _holdings(views: Iterable[PositionView]) -> tuple[Holding, ...]:
    return tuple(
        Holding(symbol=view.symbol, qty=view.qty, average_price=view.average_price)
        for view in views
    )
