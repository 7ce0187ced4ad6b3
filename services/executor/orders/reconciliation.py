"""Our books against the broker's: what a snapshot shows is taken in, compared, and settled. Pure.

Only whole shares that others' executions explain, and announced corporate actions, are adopted
unattended; any other difference is believed on a second look and is then the operator's, while our
own stop stays. Differences become adjustments of their own type, never fills.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal

from msgspec.structs import replace

from services.executor.brokers.protocol import PositionView
from services.executor.orders import (
    adjustments,
    apply_update as updates,
    corporate_actions,
    flatten,
    protection as protect,
)
from services.executor.orders.account import account_message, keep_account
from services.executor.orders.judgement import (
    BrokerHoldings,
    Judgement,
    PositionStanding,
    Severity,
    judge,
    may_be_rescaled,
)
from services.executor.orders.outcomes import BrokerSnapshot, ReconcileFailed, SymbolEvidence
from services.executor.orders.scans import conclude
from services.executor.orders.state import (
    Dispute,
    ExecutorContext,
    PositionDrift,
    ReconcileRequest,
    State,
    StrayOrder,
    live_orders,
    with_halt,
    with_order,
    with_position,
)
from shared.domain.trading import orders
from shared.runtime.runner.contract import Decision, Outgoing
from shared.schemas import messages as m
from shared.schemas.values import Purpose, Stage

TRADING = tuple(purpose for purpose in Purpose if purpose is not Purpose.PROTECT)
MOST_LOOKS = 5
"""A difference that is another one at every look is the operator's after so many."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a reconciliation without an answer is asked again, doubled each time."""
NAMELESS = "?"


@dataclass
class _Comparison:
    """One snapshot on its way through the books; the state so far and what is to be published."""

    state: State
    snapshot: BrokerSnapshot
    context: ExecutorContext
    moved: set[str] = field(default_factory=set)
    messages: list[Outgoing] = field(default_factory=list)

    @property
    def at(self) -> dt.datetime:
        return self.context.at

    @property
    def today(self) -> dt.date:
        """The date whose corporate actions are in force: overnight it is the next session's."""
        session = self.snapshot.session
        return session if self.context.settings.replay else max(session, self.at.date())

    def publish(self, message: m.Message) -> None:
        request = self.snapshot.request
        correlation = request.correlation_id if request else ""
        self.messages.append(Outgoing(message, self.snapshot.session, correlation))


def on_broker_snapshot(
    state: State, snapshot: BrokerSnapshot, context: ExecutorContext
) -> Decision[State]:
    work = _Comparison(state, snapshot, context)
    _take_views(work)
    work.state = corporate_actions.remember(work.state, snapshot.actions, work.today)
    work.state = corporate_actions.move_stops(work.state, work.today)
    theirs = {view.symbol: view for view in snapshot.positions}
    for symbol in sorted(work.state.positions):
        if not _is_hidden(snapshot, symbol, theirs):
            _settle_symbol(work, symbol, theirs)
    _settle_strays(work)
    work.state = keep_account(work.state, snapshot, theirs, at=work.at)
    held_there = {symbol for symbol in theirs if _has_ours(work.state, symbol, theirs[symbol])}
    work.state, messages = flatten.confirm(work.state, held_there, at=work.at)
    _publish_all(work, messages)
    if snapshot.request or state.session:
        work.publish(account_message(work.state, snapshot))
    symbols = {*work.moved, *work.state.positions}
    return conclude(work.state, work.messages, sorted(symbols), at=context.at)


def _has_ours(state: State, symbol: str, view: PositionView) -> bool:
    return view.qty != state.external.get(symbol, 0)


def on_reconcile_failed(
    state: State, outcome: ReconcileFailed, context: ExecutorContext
) -> Decision[State]:
    """What waits for an answer goes on waiting, but nothing else waits for it."""
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(state.failures, 10))
    retry_at = context.at + dt.timedelta(seconds=pause)
    return replace(state, retry_at=retry_at, failures=state.failures + 1), ()


def with_reconcile(
    state: State, session: dt.date, context: ExecutorContext, *, stage: Stage | None = None
) -> State:
    trigger = context.trigger
    request = ReconcileRequest(
        session=session,
        stage=stage or state.stage,
        correlation_id=trigger.correlation_id,
        causation_id=trigger.id,
    )
    return replace(state, reconciles=(*state.reconciles, request))


# --- orders ---------------------------------------------------------------------------------------


def _take_views(work: _Comparison) -> None:
    for view in work.snapshot.views:
        order = work.state.orders.get(view.client_order_id)
        if order is None:
            continue
        work.state, messages = updates.apply_view_safely(work.state, order, view, at=work.at)
        if any(isinstance(each.message, m.OrderFilled) for each in messages):
            work.moved.add(order.symbol)
        work.messages += messages
    for name in work.snapshot.missing:
        order = orders.look_now(work.state.orders[name], at=work.at)
        work.state = with_order(work.state, order)


def _settle_strays(work: _Comparison) -> None:
    """Orders under our name that we do not follow: seen a second time they halt, once."""
    strays = {}
    due_at = work.at + dt.timedelta(seconds=work.context.settings.drift_seconds)
    for name in work.snapshot.orphans:
        stray = work.state.strays.get(name) or StrayOrder(due_at=due_at)
        if stray.due_at <= work.at and not stray.alarmed:
            why = f"the broker has an order {name} that we do not follow"
            work.state, stray = with_halt(work.state, why), replace(stray, alarmed=True)
        strays[name] = stray
    work.state = replace(work.state, strays=strays)


# --- positions ------------------------------------------------------------------------------------


def _is_hidden(snapshot: BrokerSnapshot, symbol: str, theirs: Collection[str]) -> bool:
    """A row that makes no sense says nothing about its symbol, one without a name about none."""
    unreadable = snapshot.unreadable
    return symbol not in theirs and (symbol in unreadable or NAMELESS in unreadable)


def _settle_symbol(work: _Comparison, symbol: str, theirs: dict[str, PositionView]) -> None:
    """Compare one symbol; what differs is noted, and believed on a second look."""
    judgement = _judge(work, symbol, theirs)
    if judgement.standing is PositionStanding.SAME:
        _agree(work, symbol, theirs.get(symbol))
    elif _is_in_motion(work, symbol):
        _note_drift(work, symbol, judgement)
    elif judgement.is_split and judgement.action:
        work.state = _forget_difference(work.state, symbol)
        work.state, messages = corporate_actions.split(
            work.state, symbol, judgement.action, judgement.theirs
        )
        _publish_all(work, messages)
    elif (evidence := _confirmation(work, symbol, judgement)) is not None:
        _believe(work, symbol, judgement, evidence, theirs)
    elif (drift := work.state.drifts.get(symbol)) and drift.looks >= MOST_LOOKS:
        work.state = _forget_difference(work.state, symbol)
        price = _price_of(theirs.get(symbol))
        work.state, messages = _dispute(work, symbol, judgement, Decimal(0), price)
        _publish_all(work, messages)
    else:
        _note_drift(work, symbol, judgement)


def _judge(work: _Comparison, symbol: str, theirs: dict[str, PositionView]) -> Judgement:
    account = BrokerHoldings(
        qty={name: view.qty for name, view in theirs.items()},
        symbol_of_asset={view.asset: name for name, view in theirs.items() if view.asset},
    )
    held = work.state.positions[symbol]
    view = theirs.get(symbol)
    return judge(
        held,
        view.qty if view else Decimal(0),
        accepted=work.state.accepted.get(symbol, Decimal(0)),
        actions=corporate_actions.pending(work.state, held, work.today),
        account=account,
    )


def _is_in_motion(work: _Comparison, symbol: str) -> bool:
    return symbol in work.moved or bool(live_orders(work.state, symbol, TRADING))


def _agree(work: _Comparison, symbol: str, view: PositionView | None) -> None:
    work.state = _forget_difference(work.state, symbol)
    held = work.state.positions[symbol]
    blocked = "" if held.blocked == protect.ABSENT else held.blocked
    asset = view.asset if view else held.asset
    work.state = with_position(work.state, symbol, replace(held, blocked=blocked, asset=asset))


def _forget_difference(state: State, symbol: str) -> State:
    drifts = {key: drift for key, drift in state.drifts.items() if key != symbol}
    disputes = {key: dispute for key, dispute in state.disputes.items() if key != symbol}
    return replace(state, drifts=drifts, disputes=disputes)


def _note_drift(work: _Comparison, symbol: str, judgement: Judgement) -> None:
    """Remember what was seen; another difference than last time begins its wait anew.

    Back at what is in dispute already, there is nothing to look at a second time.
    """
    known, dispute = work.state.drifts.get(symbol), work.state.disputes.get(symbol)
    if dispute and dispute.theirs == judgement.theirs:
        others = {key: drift for key, drift in work.state.drifts.items() if key != symbol}
        work.state = replace(work.state, drifts=others)
        return
    due_at = work.at + dt.timedelta(seconds=work.context.settings.drift_seconds)
    if known and known.theirs == judgement.theirs and known.due_at > work.at:
        return
    looks = known.looks + 1 if known else 1
    _unblock_unless_rescaled(work, symbol, judgement)
    drift = PositionDrift(theirs=judgement.theirs, due_at=due_at, looks=looks)
    work.state = replace(work.state, drifts={**work.state.drifts, symbol: drift})


def _unblock_unless_rescaled(work: _Comparison, symbol: str, judgement: Judgement) -> None:
    """What is there of ours is protected meanwhile, unless its price may be in another scale."""
    held = work.state.positions[symbol]
    mark = next((view.mark for view in work.snapshot.positions if view.symbol == symbol), None)
    own = judgement.theirs - judgement.accepted
    present = judgement.theirs * held.qty > 0
    if held.blocked == protect.ABSENT and present and not may_be_rescaled(held, own, mark):
        work.state = with_position(work.state, symbol, replace(held, blocked=""))


def _confirmation(work: _Comparison, symbol: str, judgement: Judgement) -> SymbolEvidence | None:
    """The second look, if it has come and says the same as the first and as the list."""
    evidence = next((each for each in work.snapshot.evidence if each.symbol == symbol), None)
    drift = work.state.drifts.get(symbol)
    if evidence is None or (drift is None and not work.context.settings.stepped):
        return None
    seen = evidence.position.qty if evidence.position else Decimal(0)
    first = drift.theirs if drift else seen
    return evidence if first == seen == judgement.theirs else None


def _believe(
    work: _Comparison,
    symbol: str,
    judgement: Judgement,
    evidence: SymbolEvidence,
    theirs: dict[str, PositionView],
) -> None:
    """Seen twice: adopt what is explained, leave the rest to the operator."""
    held, price = work.state.positions[symbol], _price_of(theirs.get(symbol))
    work.state = _forget_difference(work.state, symbol)
    why = _explanation(work, judgement, evidence.foreign - held.foreign)
    if judgement.standing is PositionStanding.RENAMED:
        work.state, messages = corporate_actions.rename(work.state, symbol, judgement)
    elif why:
        held = replace(held, foreign=evidence.foreign)
        work.state = with_position(work.state, symbol, held)
        work.state, messages = adjustments.adopt(
            work.state, symbol, judgement.theirs, price, why=why
        )
    else:
        work.state, messages = _dispute(work, symbol, judgement, evidence.foreign, price)
    _publish_all(work, messages)


def _explanation(work: _Comparison, judgement: Judgement, executed: Decimal) -> str:
    """Why the difference may be adopted by itself, "" if it may not.

    A stepped exchange closes what stops trading by itself and announces nothing.
    """
    if judgement.standing is PositionStanding.CORPORATE_ACTION and judgement.action:
        return judgement.action.detail or "a corporate action"
    if judgement.is_explained_by(executed):
        return "orders of others have traded it"
    ended = work.context.settings.stepped and judgement.standing is PositionStanding.GONE
    return "it does not trade any more" if ended else ""


def _dispute(
    work: _Comparison,
    symbol: str,
    judgement: Judgement,
    foreign: Decimal,
    price: Decimal | None,
) -> tuple[State, tuple[m.Message, ...]]:
    dispute = Dispute(
        standing=judgement.standing,
        ours=judgement.ours,
        theirs=judgement.theirs,
        price=price,
        why=judgement.sentence,
        since=work.at,
        foreign=foreign,
    )
    state = replace(work.state, disputes={**work.state.disputes, symbol: dispute})
    bare = bool(state.positions[symbol].blocked)
    halts = judgement.severity is Severity.HALT or bare
    if halts:
        state = with_halt(state, f"{symbol}: {judgement.sentence}")
    message = m.PositionDisputed(
        symbol=symbol,
        strategy=state.positions[symbol].strategy,
        standing=judgement.standing.value,
        ours=judgement.ours,
        theirs=judgement.theirs,
        halts=halts,
    )
    return state, (message,)


def _price_of(view: PositionView | None) -> Decimal | None:
    if view is None:
        return None
    return view.mark if view.mark is not None else view.average_price


def _publish_all(work: _Comparison, messages: tuple[m.Message, ...]) -> None:
    for message in messages:
        work.publish(message)
