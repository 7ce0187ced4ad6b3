"""Where the executor touches the world: one pending action at a time, reported as an outcome.

Called by the service loop. What concerns one order is `orders/submission.py`'s; this file chooses
what is next, reconciles, and latches halts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from services.executor.brokers.protocol import Broker, Wakeups
from services.executor.orders import next_action as actions, outcomes as o
from services.executor.orders.journal import OrderJournal
from services.executor.orders.market_look import observe_market
from services.executor.orders.snapshot import observe
from services.executor.orders.state import ExecutorSettings, ReconcileRequest, State
from services.executor.orders.submission import LEASE_ENDS, LEASE_MARGIN, OrderSender
from services.executor.startup.audit_watch import AuditWatch
from services.executor.startup.clock_watch import ClockWatch
from services.executor.startup.recovery import recover
from shared.domain.errors import TransientError
from shared.domain.trading.orders import Order
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.log import Log
from shared.runtime.runner.contract import Outcome
from shared.runtime.runner.state_codec import changes, state_from

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
    changed_pin: Callable[[], str] = lambda: ""
    audit_watch: AuditWatch | None = None
    observe_seconds: Callable[[float], None] = lambda _: None
    _touched: frozenset[str] = frozenset()
    _recheck: bool = True
    _kept: State = field(default_factory=State)
    _restored: State | None = None

    def __post_init__(self) -> None:
        self.clock_watch = ClockWatch(self.broker, self.clock, self.latch, self.log)
        self.sender = OrderSender(
            broker=self.broker,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
            log=self.log,
            lease_left=self.lease_left,
            changed_pin=self.changed_pin,
            observe_seconds=self.observe_seconds,
        )

    def _keep_books(self, state: State) -> None:
        """The journal's copy follows every commit, and never an older Redis."""
        if state is self._kept or self._restored is not None:
            return
        self.journal.keep_books(*changes(self._kept, state))
        self._kept = state

    def recover(self, state: State) -> None:
        """Compare journal and state; what was under way is looked up, never sent again blindly."""
        self.sender.forget_notes()
        self._kept = state_from(State(), self.journal.books())
        self._restored = self._kept if self._kept.revision > state.revision else None
        recover(
            self._restored or state,
            broker=self.broker,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
        )
        if not self.settings.replay:
            self.clock_watch.compare()
        self._recheck = True

    def wait(self, state: State) -> float:
        moment = self._moment(state)
        if self._restored is not None or self._first_look(state, moment):
            return 0.0
        return actions.seconds_until(state, moment)

    def act(self, state: State) -> Outcome | None:
        self.sender.take_notes()
        self._keep_books(state)
        if self._restored is not None:
            books, self._restored = self._restored, None
            return self._outcome(state, o.BooksRestored(state=books))
        if not self.settings.replay:
            self.clock_watch.compare_if_due()
        if self.audit_watch:
            self.audit_watch.compare_if_due()
        moment = self._moment(state)
        action = self._first_look(state, moment) or actions.next_action(state, moment)
        if action is None:
            return None
        if self.lease_left() < LEASE_MARGIN:
            raise TransientError(LEASE_ENDS)
        try:
            return self._carry_out(state, action)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  halts and goes on
            self.log.critical("action_failed", action=type(action).__name__, error=repr(error))
            return self._failure(state, action, error)

    def _failure(self, state: State, action: actions.PendingAction, error: Exception) -> Outcome:
        """Report it about the order it was about; a reconciliation is asked for again later."""
        order = getattr(action, "order", None)
        if isinstance(order, Order):
            failed = o.ActionFailed(client_order_id=order.client_order_id, error=repr(error))
            return self._order_outcome(order, failed)
        if isinstance(action, actions.Reconcile):
            self.latch.halt(f"the broker could not be compared with: {error!r}"[:500])
            return self._outcome(state, o.ReconcileFailed(detail=repr(error)))
        raise error

    def _first_look(self, state: State, moment: actions.ActionMoment) -> actions.Reconcile | None:
        """After a start everything is compared; until that succeeds nothing is opened."""
        waits = state.retry_at is not None and moment.at < state.retry_at
        return actions.Reconcile(None) if self._recheck and not waits else None

    def _moment(self, state: State) -> actions.ActionMoment:
        if self.wakeups:
            self._touched |= self.wakeups.take()
        if self._touched:
            self._touched = _still_live(state, self._touched)
        return actions.ActionMoment(
            at=self.clock.now(),
            halted=bool(self.latch.reasons()),
            reconciled=not self._recheck,
            flattens=self.settings.flatten_on_kill,
            touched=self._touched,
        )

    def _carry_out(self, state: State, action: actions.PendingAction) -> Outcome:
        match action:
            case actions.LatchHalt(why):
                self.latch.halt(why)
                self.log.error("halted", why=why)
                return self._outcome(state, o.HaltLatched(why=why))
            case actions.Flatten():
                self.log.warning("flatten", symbols=sorted(state.positions))
                return self._outcome(state, o.FlattenBegun())
            case actions.LogRepeat(decision_id):
                self.log.warning("idempotency_duplicate", decision_id=decision_id)
                return self._outcome(state, o.ApprovalRepeated(decision_id=decision_id))
            case actions.Reconcile(request):
                return self._reconcile(state, request)
            case actions.CancelOrder(order):
                return self._order_outcome(order, self.sender.cancel(order))
            case actions.LookUpOrder(order):
                self._touched -= {order.symbol, order.client_order_id}
                return self._order_outcome(order, self.sender.look_up(order))
            case actions.SendOrder(order):
                return self._order_outcome(*self.sender.send(state, order))

    def _reconcile(self, state: State, request: ReconcileRequest | None) -> Outcome:
        """What the broker says of everything; without an answer it is asked again later."""
        at = self.clock.now()
        session = request.session if request else state.session or at.date()
        value: o.BrokerSnapshot | o.ReconcileFailed
        try:
            value = observe(
                self.broker,
                state,
                request,
                session,
                at=at,
                at_once=self.settings.stepped,
                is_journaled=self.journal.knows,
            )
            if not self.settings.replay:
                value = replace(value, market=observe_market(self.broker))
            self._recheck = False
        except TransientError as error:
            self.log.warning("reconcile_failed", error=str(error))
            value = o.ReconcileFailed(detail=str(error))
        if request is None:
            return Outcome(value, self.clock.now(), session, "")
        return Outcome(
            value, self.clock.now(), session, request.correlation_id, request.causation_id
        )

    def _outcome(self, state: State, value: object) -> Outcome:
        at = self.clock.now()
        return Outcome(value, at, state.session or at.date(), "")

    def _order_outcome(self, order: Order, value: object) -> Outcome:
        return Outcome(
            value, self.clock.now(), order.session, order.correlation_id, order.causation_id
        )


def _still_live(state: State, touched: frozenset[str]) -> frozenset[str]:
    """What the stream named, as far as it is about orders that live; others are settled already."""
    live = [order for order in state.orders.values() if order.live]
    if EVERYTHING in touched:
        return frozenset(order.client_order_id for order in live)
    return touched & {name for order in live for name in (order.symbol, order.client_order_id)}
