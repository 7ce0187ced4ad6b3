"""Sending one order: claim in the journal, last look, one POST, its class, a note for later.

`OrderSender` is owned by the executor's work. It never sends what the journal knows, never sends
twice what may have been taken, and looks at the kill latch right before every order that could
open something.
"""

import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from services.executor.brokers.protocol import (
    Broker,
    OrderRequest,
    PositionView,
    SubmitAnswer,
    SubmitResult,
)
from services.executor.orders import outcomes as o
from services.executor.orders.journal import JournalRow, OrderJournal, RowState
from services.executor.orders.judgement import ActionKind, actions_from, may_be_rescaled
from services.executor.orders.post_result import (
    ROW_STATES,
    may_be_resent,
    request_of,
    submit_outcome,
)
from services.executor.orders.snapshot import ANNOUNCED_DAYS
from services.executor.orders.state import EXITS, ExecutorSettings, State, protection_of
from shared.domain.errors import TransientError
from shared.domain.trading.ledger import HeldLots
from shared.domain.trading.orders import ENDINGS, Order, OrderView, ProtectionForm
from shared.domain.trading.protection import is_passed
from shared.runtime.clock import Clock
from shared.runtime.crash_points import CrashPoint, reach
from shared.runtime.kill.protocol import Latch
from shared.runtime.observability.log import Log
from shared.schemas.envelope import canonical
from shared.schemas.values import Ending, Purpose, Side

PROMPT_SECONDS = 1.0
"""A broker that answers slower than this is not asked again in the same turn."""
LEASE_ENDS = "the lease is about to run out"
LEASE_MARGIN = 7.0
"""Seconds of lease that must be left: more than a POST's deadline of 5 s and its look-up."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before what could not be sent for want of an answer is tried again, doubled each time."""


@dataclass
class OrderSender:
    """Carries out what concerns a single order; each call brings one outcome.

    `take_notes` writes what the journal may learn only once the outcome is committed. `lease_left`
    gives the seconds for which side effects are surely ours; `changed_pin` a sentence if the
    configuration on disk is not the pinned one any more.
    """

    broker: Broker
    journal: OrderJournal
    latch: Latch
    clock: Clock
    settings: ExecutorSettings
    log: Log
    lease_left: Callable[[], float] = lambda: LEASE_MARGIN
    changed_pin: Callable[[], str] = lambda: ""
    observe_seconds: Callable[[float], None] = lambda _: None
    _notes: list[Callable[[], None]] = field(default_factory=list)

    def take_notes(self) -> None:
        """Call when the last outcome has been committed."""
        for note in self._notes:
            note()
            reach(CrashPoint.RECORDED)
        self._notes.clear()

    def forget_notes(self) -> None:
        self._notes.clear()

    # --- looking and canceling --------------------------------------------------------------------

    def look_up(self, order: Order, row: JournalRow | None = None) -> o.SubmissionOutcome:
        try:
            view = self._view(order)
        except TransientError as error:
            return o.LookupFailed(client_order_id=order.client_order_id, detail=str(error))
        if view is None:
            if may_be_resent(order):
                self._note(order, RowState.NOT_TAKEN)
            sent_at = row.created_at if row else None
            return o.OrderNotFound(client_order_id=order.client_order_id, sent_at=sent_at)
        self._note_view(order, view)
        return o.OrderObserved(view=view)

    def cancel(self, order: Order) -> o.SubmissionOutcome:
        """Ask for its end, then see whether it came."""
        try:
            self.broker.cancel(order.broker_order_id)
            view = self._view(order)
        except TransientError as error:
            return self._cancel_failure(order, str(error))
        if view is None:
            return self._cancel_failure(order, "not found")
        self._note_view(order, view)
        return o.OrderObserved(view=view, canceling=True)

    def _cancel_failure(self, order: Order, detail: str) -> o.LookupFailed:
        return o.LookupFailed(client_order_id=order.client_order_id, detail=detail, canceling=True)

    def _view(self, order: Order) -> OrderView | None:
        if order.broker_order_id:
            return self.broker.order(order.broker_order_id)
        return self.broker.order_by_client_id(order.client_order_id)

    # --- sending ----------------------------------------------------------------------------------

    def send(self, state: State, order: Order) -> tuple[Order, o.SubmissionOutcome]:
        """Send it, or do what must come first; returns the order that the outcome is about.

        An exit first cancels the protection that holds its shares.
        """
        row = self.journal.row(order.journal_key)
        if row and (
            row.state is not RowState.NOT_TAKEN or row.idempotency_key != order.client_order_id
        ):
            return order, self._resume(order, row)
        refusal = self._last_look(order)
        if refusal:
            return order, self._refuse(order, *refusal)
        resting = protection_of(state, order.symbol) if order.purpose in EXITS else None
        if resting and resting.rests:
            return resting, self.cancel(resting)
        if order.purpose is Purpose.ENTRY or self._is_fresh(state, order):
            return order, self._claim_and_post(order, request_of(order, order.qty))
        try:
            return order, self._send_reducing(state, order)
        except TransientError as error:
            return order, self._delay(order, str(error))

    def _is_fresh(self, state: State, order: Order) -> bool:
        """The first protection after a fill: nothing can have happened to the shares yet."""
        first = order.purpose is Purpose.PROTECT and order.counter == 1 and not order.tries
        return first and order.symbol in state.positions and not self.latch.reasons()

    def _send_reducing(self, state: State, order: Order) -> o.SubmissionOutcome:
        """Never more than is ours, nor than the broker says is held.

        Raises TransientError if the broker does not answer.
        """
        held, view = state.positions.get(order.symbol), self.broker.position(order.symbol)
        shares = int(view.qty if order.side is Side.SELL else -view.qty) if view else 0
        qty = min(order.qty, abs(held.qty) if held else 0, shares)
        if qty <= 0:
            why = "the broker holds nothing to reduce"
            return self._refuse(order, Ending.NOT_SENT, why)
        if held and view and order.purpose is Purpose.PROTECT:
            if self._is_scale_doubtful(state, order, held, view):
                return o.ScaleDoubtful(client_order_id=order.client_order_id, theirs=view.qty)
            if view.mark is not None and _has_passed(order, held, view):
                return o.StopPassed(client_order_id=order.client_order_id, price=view.mark)
        return self._claim_and_post(order, request_of(order, qty))

    def _is_scale_doubtful(
        self, state: State, order: Order, held: HeldLots, view: PositionView
    ) -> bool:
        """Whether the plan's prices may be those of before a split: then nothing is sent.

        Raises TransientError if the broker does not answer.
        """
        symbol = held.symbol
        own = view.qty - state.accepted.get(symbol, 0)
        if own != held.qty and symbol not in state.drifts and symbol not in state.disputes:
            return True
        if may_be_rescaled(held, own, view.mark):
            return True
        return _has_passed(order, held, view) and self._has_unfollowed_split(held)

    def _has_unfollowed_split(self, held: HeldLots) -> bool:
        today = self.clock.now().date()
        since = today - dt.timedelta(days=ANNOUNCED_DAYS)
        found = actions_from(self.broker.corporate_actions([held.symbol], since, today))
        return any(each.kind is ActionKind.SPLIT and each.key not in held.applied for each in found)

    def _delay(self, order: Order, detail: str) -> o.SubmitDelayed:
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(order.tries, 10))
        until = self.clock.now() + dt.timedelta(seconds=pause)
        return o.SubmitDelayed(client_order_id=order.client_order_id, until=until, detail=detail)

    def _resume(self, order: Order, row: JournalRow) -> o.SubmissionOutcome:
        """Look up what was sent before we stopped; anything else is an old approval said again."""
        same = row.idempotency_key == order.client_order_id
        if row.state is RowState.SENDING and same and not order.refusal:
            return self.look_up(order, row)
        return self._repeat(order)

    def _repeat(self, order: Order) -> o.ApprovalRepeated:
        self.log.warning("idempotency_duplicate", decision_id=order.decision_id)
        return o.ApprovalRepeated(
            decision_id=order.decision_id, client_order_id=order.client_order_id
        )

    def _last_look(self, order: Order) -> tuple[Ending, str] | None:
        """Why it may not be sent, found no more than half a second ago.

        Protection only ever reduces and has no expiry.
        """
        if order.refusal:
            return Ending.NOT_SENT, order.refusal
        if order.purpose is Purpose.PROTECT:
            return None
        changed = self.changed_pin()
        if changed:
            self.latch.halt(changed)
            return Ending.NOT_SENT, changed
        reasons = self.latch.reasons()
        if reasons and not (order.purpose is Purpose.FLATTEN and self.settings.flatten_on_kill):
            self.log.warning(
                "kill_switch_active", decision_id=order.decision_id, reasons=list(reasons)
            )
            return Ending.HALTED, "; ".join(reasons)
        if order.expires_at is not None and self.clock.now() >= order.expires_at:
            return Ending.EXPIRED, f"its time ended at {order.expires_at.isoformat()}"
        return None

    def _claim_and_post(self, order: Order, request: OrderRequest) -> o.SubmissionOutcome:
        digest = hashlib.sha256(canonical(request)).hexdigest()
        key, name = order.journal_key, order.client_order_id
        if not self.journal.claim(key, name, digest, at=self.clock.now()):
            return self._repeat(order)
        reach(CrashPoint.JOURNALED)
        refused: list[tuple[Ending, str]] = []

        def look() -> str:
            """The last look of all: the connection is open, no byte has left."""
            if self.lease_left() < LEASE_MARGIN:
                return LEASE_ENDS
            refused.extend(filter(None, [self._last_look(order)]))
            return refused[-1][1] if refused else ""

        begun = self.clock.monotonic()
        answer = self.broker.submit(request, last_look=look)
        reach(CrashPoint.POST_ANSWERED)
        seconds = self.clock.monotonic() - begun
        if answer.result is SubmitResult.WITHHELD:
            self.journal.note(key, RowState.NOT_TAKEN)
            if refused:
                return self._refuse(order, *refused[-1])
            raise TransientError(LEASE_ENDS)
        self.observe_seconds(seconds)
        return self._classify(order, answer, prompt=seconds < PROMPT_SECONDS)

    def _classify(self, order: Order, answer: SubmitAnswer, *, prompt: bool) -> o.SubmissionOutcome:
        if answer.result is SubmitResult.EXISTS:
            return self.look_up(order)
        if answer.result in ROW_STATES:
            broker_id = answer.order.broker_order_id if answer.order else ""
            self._note(order, ROW_STATES[answer.result], broker_id)
        outcome = submit_outcome(order, answer, at=self.clock.now())
        if isinstance(outcome, o.SubmitRefused) and not outcome.posted:
            self._note_refusal(order)
        if isinstance(outcome, o.OrderObserved) and prompt:
            return self._follow_up(order, outcome)
        return outcome

    def _follow_up(self, order: Order, seen: o.OrderObserved) -> o.OrderObserved:
        """An immediate order has mostly ended by now: one look saves a round."""
        if order.purpose is Purpose.PROTECT or seen.view.status in ENDINGS:
            return seen
        try:
            return o.OrderObserved(view=self.broker.order(seen.view.broker_order_id) or seen.view)
        except TransientError:
            return seen

    # --- what the journal learns ------------------------------------------------------------------

    def _refuse(self, order: Order, ending: Ending, detail: str) -> o.SubmitRefused:
        self._note_refusal(order)
        return o.SubmitRefused(client_order_id=order.client_order_id, ending=ending, detail=detail)

    def _note_refusal(self, order: Order) -> None:
        at = self.clock.now()
        key, name = order.journal_key, order.client_order_id
        self._notes.append(lambda: self.journal.refuse(key, name, at=at))

    def _note_view(self, order: Order, view: OrderView) -> None:
        state = RowState.ENDED if view.status in ENDINGS else RowState.TAKEN
        self._note(order, state, view.broker_order_id)

    def _note(self, order: Order, state: RowState, broker_id: str = "") -> None:
        self._notes.append(lambda: self.journal.note(order.journal_key, state, broker_id))


def _has_passed(order: Order, held: HeldLots, view: PositionView) -> bool:
    plan = order.protection
    resting = order.form is not ProtectionForm.MARKET
    return resting and plan is not None and is_passed(plan.stop, held.qty, view.mark)
