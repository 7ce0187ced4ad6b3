"""Where the executor touches the world: one recorded wish at a time, journaled before it is sent, told as an outcome.

Called by the service loop. It never sends what the journal knows, never sends twice what may have
been taken, and looks at the kill latch right before every order that could open something.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from services.executor.brokers.protocol import Broker, Fate, OrderRequest
from services.executor.orders import reconciliation as reconcile, submission as sending
from services.executor.orders.journal import Journal, Row, RowState
from services.executor.orders.next_action import (
    Cancel,
    Halt,
    Look,
    Moment,
    Reconcile,
    Repeat,
    Send,
    Wish,
    next_wish,
    seconds_until,
)
from services.executor.orders.outcomes import Halted, Missed, Refused, Repeated, Seen, Unseen
from services.executor.orders.state import EXITS, ExecutorSettings, State, protection_of
from services.executor.startup.recovery import recovered
from shared.domain.errors import TransientError
from shared.domain.trading.orders import ENDINGS, Order, OrderView
from shared.runtime.clock import Clock
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.log import Log
from shared.runtime.runner.contract import Outcome
from shared.schemas.envelope import canonical
from shared.schemas.values import Ending, Purpose, Side

LEASE_MARGIN = 7.0
PROMPT_SECONDS = 1.0
EVERYTHING = "*"


class Wakeups(Protocol):
    def take(self) -> frozenset[str]:
        """What the broker's stream has named since the last call: our ids, others' symbols; `*` for everything."""
        ...


@dataclass
class ExecutorWork:
    """Implements contract.Work."""

    broker: Broker
    journal: Journal
    latch: Latch
    clock: Clock
    settings: ExecutorSettings
    lease_left: Callable[[], float]
    log: Log
    wakeups: Wakeups | None = None
    posted: Callable[[float], None] = lambda _: None
    _touched: frozenset[str] = frozenset()
    _recheck: bool = True
    _after_commit: list[Callable[[], None]] = field(default_factory=list)

    def recover(self, state: State) -> None:
        """The journal is compared with the state; what was under way is looked up, never sent again blindly."""
        self._after_commit.clear()
        recovered(
            state,
            broker=self.broker,
            journal=self.journal,
            latch=self.latch,
            clock=self.clock,
            settings=self.settings,
        )
        self._recheck = True

    def wait(self, state: State) -> float:
        return 0.0 if self._recheck else seconds_until(state, self._moment(state))

    def act(self, state: State) -> Outcome | None:
        self._flush()
        moment = self._moment(state)
        wish = Reconcile(None) if self._recheck else next_wish(state, moment)
        if wish is None:
            return None
        if self.lease_left() < LEASE_MARGIN:
            raise TransientError("the lease is about to run out")
        return self._fulfilled(state, wish)

    def _flush(self) -> None:
        """What became of the last outcome is committed now; the journal may know it."""
        for note in self._after_commit:
            note()
        self._after_commit.clear()

    def _moment(self, state: State) -> Moment:
        if self.wakeups:
            self._touched |= self.wakeups.take()
        if self._touched:
            self._touched = _still_live(state, self._touched)
        return Moment(
            at=self.clock.now(),
            halted=bool(self.latch.reasons()),
            touched=self._touched,
            recheck_seconds=self.settings.drift_seconds,
        )

    def _fulfilled(self, state: State, wish: Wish) -> Outcome:
        match wish:
            case Halt(why):
                self.latch.halt(why)
                self.log.error("halted", why=why)
                return self._outcome(state, Halted(why=why))
            case Repeat(decision_id):
                self.log.warning("idempotency_duplicate", decision_id=decision_id)
                return self._outcome(state, Repeated(decision_id=decision_id))
            case Reconcile(asked):
                session = asked.session if asked else state.session or self.clock.now().date()
                seen = reconcile.observe(
                    self.broker, state, asked, session, journaled=self.journal.knows
                )
                self._recheck = False
                causation = asked.causation_id if asked else ""
                return Outcome(
                    seen,
                    self.clock.now(),
                    session,
                    asked.correlation_id if asked else "",
                    causation,
                )
            case Cancel(order):
                return self._about(order, self._canceled(order))
            case Look(order):
                self._touched -= {order.symbol, order.client_order_id}
                return self._about(order, self._looked(order))
            case Send(order):
                return self._sent(state, order)

    def _outcome(self, state: State, value: Any) -> Outcome:
        at = self.clock.now()
        return Outcome(value, at, state.session or at.date(), "")

    def _about(self, order: Order, value: Any) -> Outcome:
        return Outcome(
            value, self.clock.now(), order.session, order.correlation_id, order.causation_id
        )

    # --- looking and canceling --------------------------------------------------------------------

    def _view(self, order: Order) -> OrderView | None:
        if order.broker_order_id:
            return self.broker.order(order.broker_order_id)
        return self.broker.order_by_client_id(order.client_order_id)

    def _looked(self, order: Order, row: Row | None = None) -> Any:
        try:
            view = self._view(order)
        except TransientError as error:
            return Unseen(client_order_id=order.client_order_id, detail=str(error))
        if view is None:
            return Missed(
                client_order_id=order.client_order_id, sent_at=row.created_at if row else None
            )
        self._note_view(order, view)
        return Seen(view=view)

    def _canceled(self, order: Order) -> Any:
        """Ask for its end, then see whether it came."""
        try:
            self.broker.cancel(order.broker_order_id)
            view = self._view(order)
        except TransientError as error:
            return Unseen(client_order_id=order.client_order_id, detail=str(error), canceling=True)
        if view is None:
            return Unseen(client_order_id=order.client_order_id, detail="not found", canceling=True)
        self._note_view(order, view)
        return Seen(view=view, canceling=True)

    def _note_view(self, order: Order, view: OrderView) -> None:
        state = RowState.ENDED if view.status in ENDINGS else RowState.TAKEN
        self._note(order, state, view.broker_order_id)

    def _note(self, order: Order, state: RowState, broker_id: str = "") -> None:
        self._after_commit.append(lambda: self.journal.note(order.journal_key, state, broker_id))

    # --- sending ----------------------------------------------------------------------------------

    def _sent(self, state: State, order: Order) -> Outcome:
        row = self.journal.row(order.journal_key)
        if row and (
            row.state is not RowState.NOT_TAKEN or row.idempotency_key != order.client_order_id
        ):
            return self._about(order, self._journaled(order, row))
        no = self._refusal(order)
        if no:
            return self._about(order, self._refused(order, no))
        resting = protection_of(state, order.symbol) if order.purpose in EXITS else None
        if resting and resting.rests:
            return self._about(resting, self._canceled(resting))
        qty = self._allowed(state, order)
        if qty <= 0:
            return self._about(
                order, self._refused(order, (Ending.NOT_SENT, "the broker holds nothing to reduce"))
            )
        return self._about(order, self._posted(order, sending.request_of(order, qty)))

    def _journaled(self, order: Order, row: Row) -> Any:
        """It was sent before we stopped, so it is looked up; or it is an old approval said again."""
        if (
            row.state is RowState.SENDING
            and row.idempotency_key == order.client_order_id
            and not order.refusal
        ):
            return self._looked(order, row)
        self.log.warning("idempotency_duplicate", decision_id=order.decision_id)
        return Repeated(decision_id=order.decision_id, client_order_id=order.client_order_id)

    def _refusal(self, order: Order) -> tuple[Ending, str] | None:
        """The last look, none of it older than half a second. Protection only ever reduces and has no expiry."""
        if order.refusal:
            return Ending.NOT_SENT, order.refusal
        if order.purpose is Purpose.PROTECT:
            return None
        reasons = self.latch.reasons()
        if reasons and not (order.purpose is Purpose.FLATTEN and self.settings.flatten_on_kill):
            self.log.warning(
                "kill_switch_active", decision_id=order.decision_id, reasons=list(reasons)
            )
            return Ending.HALTED, "; ".join(reasons)
        if order.expires_at is not None and self.clock.now() >= order.expires_at:
            return Ending.EXPIRED, f"its time ended at {order.expires_at.isoformat()}"
        return None

    def _refused(self, order: Order, no: tuple[Ending, str]) -> Refused:
        self._after_commit.append(self._refusing(order))
        return Refused(client_order_id=order.client_order_id, ending=no[0], detail=no[1])

    def _refusing(self, order: Order) -> Callable[[], None]:
        at = self.clock.now()
        return lambda: self.journal.refuse(order.journal_key, order.client_order_id, at=at)

    def _allowed(self, state: State, order: Order) -> int:
        """Shares that may be sent: what reduces never exceeds what the broker says is held."""
        if order.purpose is Purpose.ENTRY:
            return order.qty
        position = state.positions.get(order.symbol)
        fresh = order.purpose is Purpose.PROTECT and order.counter == 1 and not self.latch.reasons()
        if fresh and position:
            return min(order.qty, abs(position.qty))
        held = int(self.broker.held(order.symbol))
        return min(order.qty, max(0, held if order.side is Side.SELL else -held))

    def _posted(self, order: Order, request: OrderRequest) -> Any:
        digest = hashlib.sha256(canonical(request)).hexdigest()
        if not self.journal.claim(
            order.journal_key, order.client_order_id, digest, at=self.clock.now()
        ):
            return Repeated(decision_id=order.decision_id, client_order_id=order.client_order_id)
        no = self._refusal(order)
        if no:
            self.journal.note(order.journal_key, RowState.NOT_TAKEN)
            return self._refused(order, no)
        begun = self.clock.monotonic()
        answer = self.broker.submit(request)
        seconds = self.clock.monotonic() - begun
        self.posted(seconds)
        if answer.fate is Fate.EXISTS:
            return self._looked(order)
        if answer.fate in sending.ROW_STATES:
            self._note(
                order,
                sending.ROW_STATES[answer.fate],
                answer.order.broker_order_id if answer.order else "",
            )
        told = sending.told(order, answer, at=self.clock.now())
        if isinstance(told, Refused) and not told.posted:
            self._after_commit.append(self._refusing(order))
        return self._followed(order, told) if seconds < PROMPT_SECONDS else told

    def _followed(self, order: Order, told: Any) -> Any:
        """An immediate order has mostly ended by now: one look saves a round."""
        if (
            not isinstance(told, Seen)
            or order.purpose is Purpose.PROTECT
            or told.view.status in ENDINGS
        ):
            return told
        try:
            return Seen(view=self.broker.order(told.view.broker_order_id) or told.view)
        except TransientError:
            return told


def _still_live(state: State, touched: frozenset[str]) -> frozenset[str]:
    """What the stream named, as far as it is about orders that live; they may not have been told of yet."""
    live = [order for order in state.orders.values() if order.live]
    if EVERYTHING in touched:
        return frozenset(order.client_order_id for order in live)
    return touched & {name for order in live for name in (order.symbol, order.client_order_id)}
