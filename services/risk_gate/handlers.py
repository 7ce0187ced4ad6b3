"""What the risk-gate reads and decides; the table at the foot is its table of contents. Pure.

It is the only producer the executor obeys. Two phases a scan: exits, then, once those are terminal,
entries.
"""

from msgspec.structs import replace

from services.risk_gate.state import (
    MAX_SCANS_AHEAD,
    REMEMBERED_SCANS,
    GateContext,
    Gathering,
    State,
)
from services.risk_gate.verdicts import (
    Verdict,
    decide_entries,
    decide_exits,
    outdated_symbols,
    scan_decision,
)
from shared.domain.errors import InvalidMessage
from shared.domain.market.session_order import AnnouncedSession, session_problem
from shared.domain.risk import book as books
from shared.domain.risk.account import count_trade, take_account
from shared.domain.risk.book import Book
from shared.rules.judge import first_breach
from shared.runtime.runner.contract import Decision, Outgoing, handler_table, on
from shared.schemas import messages as m
from shared.schemas.values import Phase, Purpose, Side, Slot, TradingState

Messages = tuple[m.Message | Outgoing, ...]


# --- the schedule ---------------------------------------------------------------------------------


def on_session_opened(
    state: State, message: m.SessionOpened, context: GateContext
) -> Decision[State]:
    """A session begins with its budget, if it can be the next one; a repeat changes nothing."""
    return _open_session(state, AnnouncedSession.of_opening(message), context), ()


def on_scan_due(state: State, message: m.ScanDue, context: GateContext) -> Decision[State]:
    """A scan is due: the scheduler alone says which session it is and which scans there are."""
    scan = message.scan
    if state.book.session is None or scan.session > state.book.session:
        state = _open_session(state, AnnouncedSession.of_scan(scan), context)
    known = state.scans.get(scan.id, Gathering(ref=scan))
    if known.due or scan.id in state.decided:
        return state, ()
    return _advance(_with(state, replace(known, ref=scan, due=True)), context)


def _open_session(state: State, announced: AnnouncedSession, context: GateContext) -> State:
    """Scans of other sessions, never decided or never executed, are forgotten.

    Raises InvalidMessage if the session cannot be the next one.
    """
    problem = session_problem(
        announced,
        last=state.book.session,
        announced_at=None if context.settings.replay else context.at,
        market=state.market,
    )
    if problem:
        raise InvalidMessage(f"the session {announced.session} cannot be opened: {problem}")
    book = books.roll_session(state.book, announced.session)
    if book is state.book:
        return state
    scans = {
        key: scan for key, scan in state.scans.items() if scan.ref.session == announced.session
    }
    return replace(state, book=book, scans=scans)


# --- the universe ---------------------------------------------------------------------------------


def on_bars_ready(state: State, message: m.BarsReady, context: GateContext) -> Decision[State]:
    """The symbols of the bars may be entered, unless the settings name others."""
    if len(message.universe) > context.settings.universe_maximum:
        most = context.settings.universe_maximum
        raise InvalidMessage(f"a universe of {len(message.universe)} symbols, {most} are allowed")
    if not message.universe or message.universe == state.universe or not _same_pin(context):
        return state, ()
    return replace(state, universe=message.universe), ()


def universe_of(state: State, context: GateContext) -> frozenset[str]:
    return frozenset(context.settings.universe or state.universe)


# --- what a scan is made of -----------------------------------------------------------------------


def on_scan_completed(
    state: State, message: m.ScanCompleted, context: GateContext
) -> Decision[State]:
    scan = _gathering(state, message)
    if scan is None or message.part in scan.parts_heard:
        return state, ()
    _require_same(scan.parts, message.parts)
    heard = replace(
        scan,
        parts=message.parts,
        parts_heard=(*scan.parts_heard, message.part),
        exits=scan.exits + message.exits,
        signals=scan.signals + message.signals,
        aborted=scan.aborted or message.aborted,
        same_pin=scan.same_pin and _same_pin(context),
    )
    return _advance(_with(state, heard), context)


def on_quotes_seen(state: State, message: m.QuotesSeen, context: GateContext) -> Decision[State]:
    scan = _gathering(state, message)
    if scan is None or message.part in scan.quote_parts_heard:
        return state, ()
    _require_same(scan.quote_parts, message.parts)
    heard = replace(
        scan,
        quote_parts=message.parts,
        quote_parts_heard=(*scan.quote_parts_heard, message.part),
        quotes=scan.quotes + message.quotes,
        same_pin=scan.same_pin and _same_pin(context),
    )
    return _advance(_with(state, heard), context)


def _gathering(state: State, message: m.ScanCompleted | m.QuotesSeen) -> Gathering | None:
    """The scan as gathered so far, due or not; None if it is decided or being executed."""
    if message.part > message.parts:
        raise InvalidMessage(f"part {message.part} of {message.parts}")
    if message.scan.id in state.decided:
        return None
    known = state.scans.get(message.scan.id)
    if known is None:
        if sum(not scan.due for scan in state.scans.values()) >= MAX_SCANS_AHEAD:
            raise InvalidMessage(f"{message.scan.id} is not due")
        known = Gathering(ref=message.scan)
    is_other_round = isinstance(message, m.QuotesSeen) and message.fresh is not known.fresh
    return None if is_other_round or known.awaits is not None else known


def _require_same(parts: int, named: int) -> None:
    if parts not in (0, named):
        raise InvalidMessage(f"{named} parts, where {parts} were named before")


def _same_pin(context: GateContext) -> bool:
    envelope = context.trigger.envelope
    return envelope is not None and envelope.config_pin == context.settings.config_pin


# --- what became of orders ------------------------------------------------------------------------


def on_order_filled(state: State, message: m.OrderFilled, context: GateContext) -> Decision[State]:
    book = books.apply_fill(
        state.book,
        message.client_order_id,
        qty=message.qty,
        price=message.price,
        opens=message.purpose is Purpose.ENTRY,
    )
    change = message.qty if message.side is Side.BUY else -message.qty
    book = books.move_position(
        count_trade(book, change=change, price=message.price),
        message.symbol,
        strategy=message.strategy,
        change=change,
        price=message.price,
        session=message.session,
    )
    return _count_execution(state, book, context)


def on_position_adjusted(
    state: State, message: m.PositionAdjusted, context: GateContext
) -> Decision[State]:
    book = books.move_position(
        state.book,
        message.symbol,
        strategy=message.strategy,
        change=message.qty,
        price=message.price,
        session=context.trigger.session,
    )
    return _count_execution(state, book, context)


def on_position_rescaled(
    state: State, message: m.PositionRescaled, context: GateContext
) -> Decision[State]:
    book = books.rescale_position(
        state.book, message.symbol, qty=message.qty, new=message.new, old=message.old
    )
    return _count_execution(state, book, context)


def on_position_renamed(
    state: State, message: m.PositionRenamed, context: GateContext
) -> Decision[State]:
    book = books.rename_position(state.book, message.symbol, message.new_symbol)
    return _count_execution(state, book, context)


def on_order_ended(state: State, message: m.OrderEnded, context: GateContext) -> Decision[State]:
    return _count_execution(
        state, books.release(state.book, message.client_order_id, message.ending), context
    )


def on_scan_executed(
    state: State, message: m.ScanExecuted, context: GateContext
) -> Decision[State]:
    """The exits are terminal: now its entries. The last phase is: the scan is over."""
    state, said = _count_execution(state, books.settle_scan(state.book, message.scan_id), context)
    scan = state.scans.get(message.scan_id)
    if scan is None or scan.awaits is not message.phase:
        return state, said
    if message.final:
        return _finish_scan(state, message.scan_id), said
    symbols = outdated_symbols(scan, context)
    if symbols:
        request = m.QuotesRequested(scan=scan.ref, symbols=symbols)
        asked = replace(
            scan, quotes=(), quote_parts=0, quote_parts_heard=(), fresh=True, awaits=None
        )
        return _with(state, asked), (*said, Outgoing(request, scan.ref.session, scan.ref.id))
    book, verdicts = decide_entries(state.book, scan, universe_of(state, context), context)
    state, more = _conclude(replace(state, book=book), scan, Phase.ENTRIES, verdicts, context)
    return state, (*said, *more)


def on_account_seen(state: State, message: m.AccountSeen, context: GateContext) -> Decision[State]:
    book = take_account(state.book, message, at=context.at)
    market = state.market if context.settings.replay else message.market or state.market
    state = replace(state, book=books.see_drift(book, message.drift), market=market)
    state, tripped = _trip(state, context)
    state, said = _count_execution(state, state.book, context)
    return state, (*tripped, *said)


def on_other_execution(state: State, message: m.Message, context: GateContext) -> Decision[State]:
    """Nothing changes in the book, but scans may have waited for this execution."""
    return _count_execution(state, state.book, context)


# --- the operator ---------------------------------------------------------------------------------


def on_activate_requested(
    state: State, message: m.ActivateRequested, context: GateContext
) -> Decision[State]:
    """Nobody else moves trading back to active."""
    if state.book.trading_state is TradingState.ACTIVE:
        return state, ()
    changed = m.TradingStateChanged(state=TradingState.ACTIVE, why=f"{message.by}: {message.why}")
    return replace(state, book=books.activate(state.book)), (changed,)


def on_dispute_settled(
    state: State,
    message: m.DriftAcknowledged | m.AdoptRequested | m.ReleaseRequested,
    context: GateContext,
) -> Decision[State]:
    """The operator has decided whose the shares are: the symbol may be traded again."""
    return replace(state, book=books.acknowledge_drift(state.book, message.symbol)), ()


# --- the course of a scan -------------------------------------------------------------------------


def _count_execution(state: State, book: Book, context: GateContext) -> tuple[State, Messages]:
    """Count an execution; scans that waited for it may now be decided."""
    state = replace(state, book=book, executions_seq=max(state.executions_seq, context.trigger.seq))
    return _advance(state, context)


def _advance(state: State, context: GateContext) -> tuple[State, Messages]:
    """Decide every scan that is complete and whose executions have been counted."""
    said: Messages = ()
    for scan in list(state.scans.values()):
        if (
            scan.complete
            and scan.awaits is None
            and state.executions_seq >= scan.ref.executions_seq
        ):
            state, more = _decide(state, scan, context)
            said += more
    return state, said


def _decide(state: State, scan: Gathering, context: GateContext) -> tuple[State, Messages]:
    """All exits; the entries too, unless an exit was approved and must be terminal first."""
    book, verdicts = decide_exits(state.book, scan, context)
    phase = Phase.EXITS
    if scan.ref.slot is not Slot.CLOSE and not any(
        isinstance(verdict, m.OrderApproved) for verdict in verdicts
    ):
        phase = Phase.ENTRIES
        book, entries = decide_entries(book, scan, universe_of(state, context), context)
        verdicts += entries
    return _conclude(replace(state, book=book), scan, phase, verdicts, context)


def _conclude(
    state: State, scan: Gathering, phase: Phase, verdicts: list[Verdict], context: GateContext
) -> tuple[State, Messages]:
    """Publish the verdicts of a phase, remember what is awaited, and check the breakers."""
    final = phase is Phase.ENTRIES or scan.ref.slot is Slot.CLOSE
    kept = Gathering(ref=scan.ref, due=True) if final else replace(scan, exits=())
    said = [*verdicts, scan_decision(scan, phase, verdicts, final=final)]
    state, tripped = _trip(_with(state, replace(kept, awaits=phase)), context)
    return state, tuple(
        Outgoing(message, scan.ref.session, scan.ref.id) for message in (*said, *tripped)
    )


def _with(state: State, scan: Gathering) -> State:
    return replace(state, scans={**state.scans, scan.ref.id: scan})


def _finish_scan(state: State, scan_id: str) -> State:
    scans = {name: scan for name, scan in state.scans.items() if name != scan_id}
    return replace(state, scans=scans, decided=(*state.decided, scan_id)[-REMEMBERED_SCANS:])


def _trip(state: State, context: GateContext) -> tuple[State, tuple[m.TradingStateChanged, ...]]:
    """A breaker moves to reducing by itself, once."""
    why = (
        first_breach(state.book, context.settings.rules)
        if state.book.trading_state is TradingState.ACTIVE
        else ""
    )
    if not why:
        return state, ()
    changed = m.TradingStateChanged(state=TradingState.REDUCING, why=why)
    return replace(state, book=books.reduce_only(state.book, why)), (changed,)


HANDLERS = handler_table(
    on(m.SessionOpened, on_session_opened),
    on(m.ScanDue, on_scan_due),
    on(m.BarsReady, on_bars_ready),
    on(m.ScanCompleted, on_scan_completed),
    on(m.QuotesSeen, on_quotes_seen),
    on(m.OrderSubmitted, on_other_execution),
    on(m.OrderFilled, on_order_filled),
    on(m.OrderEnded, on_order_ended),
    on(m.OrderUnknown, on_other_execution),
    on(m.ProtectionPlaced, on_other_execution),
    on(m.PositionAdjusted, on_position_adjusted),
    on(m.PositionRescaled, on_position_rescaled),
    on(m.PositionRenamed, on_position_renamed),
    on(m.PositionDisputed, on_other_execution),
    on(m.FlatConfirmed, on_other_execution),
    on(m.FlatNotConfirmed, on_other_execution),
    on(m.AccountSeen, on_account_seen),
    on(m.ScanExecuted, on_scan_executed),
    on(m.ActivateRequested, on_activate_requested),
    on(m.DriftAcknowledged, on_dispute_settled),
    on(m.AdoptRequested, on_dispute_settled),
    on(m.ReleaseRequested, on_dispute_settled),
)
