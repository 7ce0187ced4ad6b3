"""Where the executor touches the world: one pending action at a time, reported as an outcome.

Called by the service loop. What concerns one order is `orders/submission.py`'s; this file chooses
what is next, reconciles, and latches halts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from services.executor.brokers.protocol import Broker, Wakeups
from services.executor.orders import next_action as actions, outcomes as o, reconciliation
from services.executor.orders.journal import OrderJournal
from services.executor.orders.market_look import observe_market
from services.executor.orders.state import ExecutorSettings, ReconcileRequest, State
from services.executor.orders.submission import OrderSender
from services.executor.startup.recovery import recover
from shared.domain.errors import TransientError
from shared.domain.trading.orders import Order
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.log import Log
from shared.runtime.runner.contract import Outcome

LEASE_MARGIN = 7.0
"""Seconds of lease that must be left: more than a POST's deadline of 5 s and its look-up."""
EVERYTHING = "*"


@dataclass
class ExecutorWork:
    """Implements contract.Work."""

    broker: Broker
    journal: OrderJournal
    latch: Latch
    clock: Clock
    settings: ExecutorSettings
    lease_left: Callable[[], float]
    log: Log
    wakeups: Wakeups | None = None
    observe_seconds: Callable[[float], None] = lambda _: None
    _touched: frozenset[str] = frozenset()
    _recheck: bool = True

    def __post_init__(self) -> None:
        self._sender = OrderSender(
            broker=self.broker,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
            log=self.log,
            observe_seconds=self.observe_seconds,
        )

    def recover(self, state: State) -> None:
        """Compare journal and state; what was under way is looked up, never sent again blindly."""
        self._sender.forget_notes()
        recover(
            state,
            broker=self.broker,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
        )
        self._recheck = True

    def wait(self, state: State) -> float:
        return 0.0 if self._recheck else actions.seconds_until(state, self._moment(state))

    def act(self, state: State) -> Outcome | None:
        self._sender.take_notes()
        moment = self._moment(state)
        action = actions.Reconcile(None) if self._recheck else actions.next_action(state, moment)
        if action is None:
            return None
        if self.lease_left() < LEASE_MARGIN:
            raise TransientError("the lease is about to run out")
        return self._carry_out(state, action)

    def _moment(self, state: State) -> actions.Moment:
        if self.wakeups:
            self._touched |= self.wakeups.take()
        if self._touched:
            self._touched = _still_live(state, self._touched)
        return actions.Moment(
            at=self.clock.now(),
            halted=bool(self.latch.reasons()),
            touched=self._touched,
            recheck_seconds=self.settings.drift_seconds,
        )

    def _carry_out(self, state: State, action: actions.PendingAction) -> Outcome:
        match action:
            case actions.LatchHalt(why):
                self.latch.halt(why)
                self.log.error("halted", why=why)
                return self._outcome(state, o.HaltLatched(why=why))
            case actions.LogRepeat(decision_id):
                self.log.warning("idempotency_duplicate", decision_id=decision_id)
                return self._outcome(state, o.ApprovalRepeated(decision_id=decision_id))
            case actions.Reconcile(request):
                return self._reconcile(state, request)
            case actions.CancelOrder(order):
                return self._order_outcome(order, self._sender.cancel(order))
            case actions.LookUpOrder(order):
                self._touched -= {order.symbol, order.client_order_id}
                return self._order_outcome(order, self._sender.look_up(order))
            case actions.SendOrder(order):
                return self._order_outcome(*self._sender.send(state, order))

    def _reconcile(self, state: State, request: ReconcileRequest | None) -> Outcome:
        session = request.session if request else state.session or self.clock.now().date()
        snapshot = reconciliation.observe(
            self.broker, state, request, session, is_journaled=self.journal.knows
        )
        if not self.settings.replay:
            snapshot = replace(snapshot, market=observe_market(self.broker))
        self._recheck = False
        if request is None:
            return Outcome(snapshot, self.clock.now(), session, "")
        return Outcome(
            snapshot, self.clock.now(), session, request.correlation_id, request.causation_id
        )

    def _outcome(self, state: State, value: Any) -> Outcome:
        at = self.clock.now()
        return Outcome(value, at, state.session or at.date(), "")

    def _order_outcome(self, order: Order, value: o.SubmissionOutcome) -> Outcome:
        return Outcome(
            value, self.clock.now(), order.session, order.correlation_id, order.causation_id
        )


def _still_live(state: State, touched: frozenset[str]) -> frozenset[str]:
    """What the stream named, as far as it is about orders that live; others are settled already."""
    live = [order for order in state.orders.values() if order.live]
    if EVERYTHING in touched:
        return frozenset(order.client_order_id for order in live)
    return touched & {name for order in live for name in (order.symbol, order.client_order_id)}
