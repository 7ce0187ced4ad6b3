"""What the risk-gate hears and decides; the table at the foot is its table of contents. Pure.

It is the only producer the executor obeys. Two phases a scan: exits, then, once those are terminal, entries.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.risk_gate.decide import decide_entries, decide_exits
from services.risk_gate.state import REMEMBERED_SCANS, GateSettings, Gathering, State
from shared.domain import book as books
from shared.domain.book import Book
from shared.runtime.contract import Context, Decision, Handler, Sample
from shared.schemas import messages as m
from shared.schemas.values import Phase, Purpose, ScanRef, Side, Slot, TradingState

replace = msgspec.structs.replace
Said = tuple[m.Message, ...]


def on_session_opened(state: State, message: m.SessionOpened, context: Context) -> Decision[State]:
    return replace(state, book=books.roll_session(state.book, message.session)), ()


def on_scan_completed(state: State, message: m.ScanCompleted, context: Context) -> Decision[State]:
    scan = _gathering(state, message.scan)
    if scan is None or message.part in scan.heard:
        return state, ()
    heard = replace(
        scan,
        parts=message.parts,
        heard=(*scan.heard, message.part),
        exits=scan.exits + message.exits,
        signals=scan.signals + message.signals,
        aborted=scan.aborted or message.aborted,
        same_pin=scan.same_pin and _same_pin(context),
    )
    return _advance(_with(state, heard), context)


def on_quotes_seen(state: State, message: m.QuotesSeen, context: Context) -> Decision[State]:
    scan = _gathering(state, message.scan)
    if scan is None or message.part in scan.quotes_heard:
        return state, ()
    heard = replace(
        scan,
        quote_parts=message.parts,
        quotes_heard=(*scan.quotes_heard, message.part),
        quotes=scan.quotes + message.quotes,
        same_pin=scan.same_pin and _same_pin(context),
    )
    return _advance(_with(state, heard), context)


def on_order_filled(state: State, message: m.OrderFilled, context: Context) -> Decision[State]:
    book = books.fill(state.book, message.client_order_id, qty=message.qty, price=message.price)
    change = message.qty if message.side is Side.BUY else -message.qty
    book = books.move_position(
        book,
        message.symbol,
        strategy=message.strategy,
        change=change,
        price=message.price,
        session=message.session,
    )
    return _heard(state, book, context)


def on_position_adjusted(state: State, message: m.PositionAdjusted, context: Context) -> Decision[State]:
    book = books.move_position(
        state.book,
        message.symbol,
        strategy=message.strategy,
        change=message.qty,
        price=message.price,
        session=context.cause.session,
    )
    return _heard(state, book, context)


def on_order_ended(state: State, message: m.OrderEnded, context: Context) -> Decision[State]:
    return _heard(state, books.end(state.book, message.client_order_id), context)


def on_scan_executed(state: State, message: m.ScanExecuted, context: Context) -> Decision[State]:
    state, said = _heard(state, books.settle_scan(state.book, message.scan_id), context)
    scan = state.scans.get(message.scan_id)
    if scan is None or scan.awaits is not message.phase:
        return state, said
    if message.phase is Phase.EXITS and scan.scan.slot is not Slot.CLOSE:
        state, more = _entries(state, scan, context)
        return state, said + more
    return _done(state, message.scan_id), said


def on_account_seen(state: State, message: m.AccountSeen, context: Context) -> Decision[State]:
    settings: GateSettings = context.settings
    book = books.see_account(state.book, cash=message.cash, equity=message.equity)
    book = replace(book, drifted={**book.drifted, **dict.fromkeys(message.drift, True)})
    state, said = _heard(state, book, context)
    breach = settings.breached(state.book)
    if breach and state.book.trading_state is TradingState.ACTIVE:
        return _trading(state, TradingState.REDUCING, breach, said)
    return state, said


def on_other_execution(state: State, message: m.Message, context: Context) -> Decision[State]:
    """Nothing to count, but it was heard."""
    return _heard(state, state.book, context)


def on_activate_requested(state: State, message: m.ActivateRequested, context: Context) -> Decision[State]:
    """Only the operator moves back; the high-water marks begin anew, else the same breach would fire at once."""
    book = replace(state.book, peak_equity=state.book.equity, session_equity=state.book.equity)
    return _trading(replace(state, book=book), TradingState.ACTIVE, f"{message.by}: {message.why}", ())


def on_drift_acknowledged(state: State, message: m.DriftAcknowledged, context: Context) -> Decision[State]:
    drifted = {symbol: True for symbol in state.book.drifted if symbol != message.symbol}
    return replace(state, book=replace(state.book, drifted=drifted)), ()


# --- the course of a scan -------------------------------------------------------------------------------


def _gathering(state: State, scan: ScanRef) -> Gathering | None:
    """The scan as gathered so far; None if it is already decided or being executed."""
    if scan.id in state.decided:
        return None
    known = state.scans.get(scan.id, Gathering(scan=scan))
    return known if known.awaits is None else None


def _with(state: State, scan: Gathering) -> State:
    return replace(state, scans={**state.scans, scan.scan.id: scan})


def _done(state: State, scan_id: str) -> State:
    scans = {name: scan for name, scan in state.scans.items() if name != scan_id}
    return replace(state, scans=scans, decided=(*state.decided, scan_id)[-REMEMBERED_SCANS:])


def _heard(state: State, book: Book, context: Context) -> tuple[State, Said]:
    """Count an execution; scans that waited for just this one may now be decided."""
    state = replace(state, book=book, executions_seq=max(state.executions_seq, context.cause.seq))
    return _advance(state, context)


def _advance(state: State, context: Context) -> tuple[State, Said]:
    """Decide every scan that is complete and whose executions have been counted."""
    said: Said = ()
    for scan in list(state.scans.values()):
        ready = scan.complete and scan.awaits is None and state.executions_seq >= scan.scan.executions_seq
        if ready:
            state, more = _decide(state, scan, context)
            said += more
    return state, said


def _decide(state: State, scan: Gathering, context: Context) -> tuple[State, Said]:
    state = replace(state, book=books.roll_session(state.book, scan.scan.session))
    if scan.scan.slot is not Slot.CLOSE and not scan.exits:
        return _entries(state, scan, context)
    book, said = decide_exits(state.book, scan, context)
    state = replace(state, book=book)
    if scan.scan.slot is Slot.CLOSE or any(isinstance(message, m.OrderApproved) for message in said):
        return _with(state, replace(scan, awaits=Phase.EXITS)), tuple(said)
    state, entries = _entries(state, scan, context)
    return state, (*said[:-1], *entries)


def _entries(state: State, scan: Gathering, context: Context) -> tuple[State, Said]:
    wanted = scan if not scan.aborted else replace(scan, signals=())
    book, said = decide_entries(state.book, wanted, context)
    return _with(replace(state, book=book), replace(scan, awaits=Phase.ENTRIES)), tuple(said)


def _trading(state: State, to: TradingState, why: str, said: Said) -> tuple[State, Said]:
    book = replace(state.book, trading_state=to, why=why)
    return replace(state, book=book), (*said, m.TradingStateChanged(state=to, why=why))


def _same_pin(context: Context) -> bool:
    envelope = context.cause.envelope
    return envelope is None or envelope.config_pin == context.settings.config_pin


# --- what people see ------------------------------------------------------------------------------------


def gauges(state: State) -> Iterable[Sample]:
    book = state.book
    yield Sample("kobe_gate_budget_used_dollars", float(book.used), help="Budget of the session spent and reserved")
    yield Sample("kobe_gate_cash_dollars", float(book.cash), help="Cash not reserved")
    yield Sample("kobe_gate_positions_open", float(len(book.positions)), help="Positions the gate knows")
    yield Sample("kobe_gate_reservations_open", float(len(book.reservations)), help="Approvals not yet settled")
    for each in TradingState:
        yield Sample("kobe_gate_trading_state", float(book.trading_state is each), {"state": each.value})


def counts(message: m.Message) -> Iterable[Sample]:
    if isinstance(message, m.OrderApproved):
        yield Sample("kobe_gate_verdicts", 1, {"verdict": "approved", "reason": _kind(message.purpose)})
    if isinstance(message, m.OrderDenied):
        yield Sample("kobe_gate_verdicts", 1, {"verdict": "denied", "reason": message.reasons[0].value})


def _kind(purpose: Purpose) -> str:
    return purpose.value


EVENTS: dict[type, str] = {m.OrderDenied: "policy_veto", m.TradingStateChanged: "trading_state_changed"}

HANDLERS: dict[type, Handler] = {
    m.SessionOpened: on_session_opened,
    m.ScanCompleted: on_scan_completed,
    m.QuotesSeen: on_quotes_seen,
    m.OrderSubmitted: on_other_execution,
    m.OrderFilled: on_order_filled,
    m.OrderEnded: on_order_ended,
    m.OrderUnknown: on_other_execution,
    m.ProtectionPlaced: on_other_execution,
    m.PositionAdjusted: on_position_adjusted,
    m.AccountSeen: on_account_seen,
    m.ScanExecuted: on_scan_executed,
    m.ActivateRequested: on_activate_requested,
    m.DriftAcknowledged: on_drift_acknowledged,
}
