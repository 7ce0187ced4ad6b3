"""Start is recovery: state, journal, clock and account must agree, or nothing is opened.

Called by work after the lease was won. It sends nothing; what disagrees halts until the operator
says it is clean.
"""

from services.executor.brokers.protocol import Broker
from services.executor.orders.journal import SENT, OrderJournal, RowState
from services.executor.orders.state import ExecutorSettings, State
from services.executor.startup.live_guards import refuse_account
from shared.domain.trading.orders import Order
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch


def recover(
    state: State,
    *,
    broker: Broker,
    journal: OrderJournal,
    latch: Latch,
    clock: Clock,
    settings: ExecutorSettings,
) -> None:
    """Raises TransientError while the broker is away, UserError when it is another account."""
    refuse_account(settings.mode, settings.account, broker.account())
    known = state.sent + sum(_under_way(order, journal) for order in state.orders.values())
    if state.sent and journal.empty():
        latch.halt(
            "the executor's journal is gone; it was rebuilt from the state and the broker: "
            "look, then resume"
        )
        _rebuild(state, broker, journal, clock)
    elif journal.count_sent() > known:
        latch.halt(
            f"redis_regressed: the journal has sent {journal.count_sent()} orders, "
            f"the state knows {known}"
        )
    _catch_up(state, journal, clock)
    _halt_for_strangers(state, broker, journal, latch)


def _halt_for_strangers(state: State, broker: Broker, journal: OrderJournal, latch: Latch) -> None:
    """One account, one stack: working orders under our name that are nobody's here halt at once."""
    strangers = [
        view.client_order_id
        for view in broker.open_orders().ours
        if view.client_order_id not in state.orders and not journal.knows(view.client_order_id)
    ]
    if strangers:
        latch.halt(
            f"the account has {len(strangers)} working orders of another stack, or of one whose "
            f"books are lost (the first is {strangers[0]}): stop it, compare, then resume"
        )


def _under_way(order: Order, journal: OrderJournal) -> bool:
    """Journaled as sent, and we stopped before the state heard of it."""
    row = journal.row(order.journal_key) if order.waits else None
    return row is not None and row.state in SENT


def _rebuild(state: State, broker: Broker, journal: OrderJournal, clock: Clock) -> None:
    """Claim again all that may have been sent, so that it is looked up and never sent."""
    at = clock.now()
    for order in state.orders.values():
        row_state = RowState.TAKEN if order.was_sent else RowState.SENDING
        journal.adopt(order.journal_key, order.client_order_id, row_state, at=order.sent_at or at)
    for view in broker.orders_since(None).ours:
        journal.adopt(f"broker/{view.broker_order_id}", view.client_order_id, RowState.TAKEN, at=at)


def _catch_up(state: State, journal: OrderJournal, clock: Clock) -> None:
    """A row may have missed what the state knows: then it would be looked up for ever.

    An instance that takes over with a volume of its own has no row at all of what another sent.
    """
    now = clock.now()
    for order in state.orders.values():
        if order.was_sent:
            at = order.sent_at or now
            journal.adopt(order.journal_key, order.client_order_id, RowState.SENDING, at=at)
        if order.was_sent and order.broker_order_id:
            journal.note(
                order.journal_key,
                RowState.TAKEN if order.live else RowState.ENDED,
                order.broker_order_id,
            )
