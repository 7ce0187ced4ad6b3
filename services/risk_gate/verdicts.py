"""Verdicts on one phase of one scan: judge, reserve, say. Pure; called by handlers.py.

Exits in the order given, entries in rank order; each is judged on the book that the one before it
left.
"""

import datetime as dt
from collections.abc import Iterable

from msgspec.structs import replace

from services.risk_gate.intents import entry_intent, exit_intent, rank_signals
from services.risk_gate.state import GateContext, Gathering
from shared.domain.risk.book import Attempt, Book, Reservation, record_attempt, reserve
from shared.domain.risk.intents import Denial, Intent
from shared.domain.trading import ids
from shared.rules.judge import judge
from shared.schemas.fields import MAX_QUOTES_REQUESTED
from shared.schemas.messages import OrderApproved, OrderDenied, ScanDecided
from shared.schemas.values import Phase, Protection, Reason

Verdict = OrderApproved | OrderDenied
MAY_PASS = frozenset({Reason.NO_QUOTE, Reason.STALE_QUOTE, Reason.SPREAD, Reason.HALTED})
"""An entry refused for no other reasons than these may be tried at a later slot."""


def decide_exits(book: Book, scan: Gathering, context: GateContext) -> tuple[Book, list[Verdict]]:
    quotes = {quote.symbol: quote for quote in scan.quotes}
    verdicts: list[Verdict] = []
    for due in scan.exits:
        intent = exit_intent(book, scan, due, quotes.get(due.symbol), context)
        book, verdict = _verdict(book, scan, intent, context)
        verdicts.append(verdict)
    return book, verdicts


def decide_entries(
    book: Book, scan: Gathering, universe: frozenset[str], context: GateContext
) -> tuple[Book, list[Verdict]]:
    """None at all if the scan was aborted."""
    quotes = {quote.symbol: quote for quote in scan.quotes}
    verdicts: list[Verdict] = []
    for signal in () if scan.aborted else rank_signals(scan.signals, context.settings.rank):
        intent = entry_intent(book, scan, signal, quotes.get(signal.symbol), context)
        intent = replace(intent, in_universe=signal.symbol in universe)
        book, verdict = _verdict(book, scan, intent, context)
        verdicts.append(verdict)
    return book, verdicts


def outdated_symbols(scan: Gathering, context: GateContext) -> tuple[str, ...]:
    """The symbols of the entries in rank order, if any quote of theirs has grown too old.

    Nothing in a replay, whose time stands still while a scan is decided, nor a second time.
    """
    settings = context.settings
    if settings.replay or scan.fresh or scan.aborted:
        return ()
    signals = rank_signals(scan.signals, settings.rank)
    symbols = tuple(dict.fromkeys(signal.symbol for signal in signals))[:MAX_QUOTES_REQUESTED]
    oldest = context.at - settings.quote_lifetime
    is_outdated = any(quote.at < oldest for quote in scan.quotes if quote.symbol in symbols)
    return symbols if is_outdated else ()


def scan_decision(
    scan: Gathering, phase: Phase, verdicts: Iterable[Verdict], *, final: bool
) -> ScanDecided:
    approvals = [isinstance(verdict, OrderApproved) for verdict in verdicts]
    return ScanDecided(
        scan_id=scan.ref.id,
        slot=scan.ref.slot,
        phase=phase,
        approved=sum(approvals),
        denied=len(approvals) - sum(approvals),
        final=final,
    )


def _verdict(
    book: Book, scan: Gathering, intent: Intent, context: GateContext
) -> tuple[Book, Verdict]:
    """Judge one intent; approved, it is reserved in the book that is returned."""
    tried, slot_at = book.attempts.get(intent.signal_id), scan.ref.slot_at
    attempt = _next(tried, slot_at)
    denials = judge(intent, book, context.settings.rules)
    if denials:
        refused = (
            replace(tried, asked=attempt.asked)
            if tried and intent.repeated
            else _attempt_after_refusal(attempt, denials)
        )
        return record_attempt(book, intent.signal_id, refused), _denial(
            scan, intent, attempt, denials
        )
    approved = _approval(scan, intent, attempt, context)
    book = reserve(book, approved.client_order_id, _reservation(scan, approved, intent), intent.now)
    return record_attempt(book, intent.signal_id, attempt), approved


def _next(tried: Attempt | None, slot_at: dt.datetime) -> Attempt:
    if tried is None:
        return Attempt(number=1, first_slot_at=slot_at, slot_at=slot_at)
    return replace(
        tried, number=tried.number + 1, slot_at=slot_at, over=False, asked=tried.asked + 1
    )


def _attempt_after_refusal(attempt: Attempt, denials: tuple[Denial, ...]) -> Attempt:
    return replace(attempt, over=all(denial.reason in MAY_PASS for denial in denials))


def _reservation(scan: Gathering, approved: OrderApproved, intent: Intent) -> Reservation:
    return Reservation(
        scan_id=scan.ref.id,
        session=scan.ref.session,
        signal_id=intent.signal_id,
        symbol=intent.symbol,
        strategy=intent.strategy,
        direction=intent.direction,
        side=intent.side,
        purpose=intent.purpose,
        qty=approved.qty,
        limit_price=approved.limit_price,
        expires_at=approved.expires_at,
    )


def _decision_id(scan: Gathering, intent: Intent, attempt: Attempt) -> str:
    digest = ids.order_digest(intent.signal_id, attempt.number)
    return ids.decision_id(
        digest, session=scan.ref.session, first_slot_at=attempt.first_slot_at, symbol=intent.symbol
    )


def _denial(
    scan: Gathering, intent: Intent, attempt: Attempt, denials: tuple[Denial, ...]
) -> OrderDenied:
    """Every reason once, in order; two rules may give the same one."""
    details: dict[str, str] = {}
    for denial in filter(lambda each: each.detail, denials):
        earlier = details.get(denial.reason.value)
        details[denial.reason.value] = f"{earlier}; {denial.detail}" if earlier else denial.detail
    return OrderDenied(
        scan_id=scan.ref.id,
        slot=scan.ref.slot,
        signal_id=intent.signal_id,
        decision_id=_decision_id(scan, intent, attempt),
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        purpose=intent.purpose,
        qty=intent.qty,
        limit_price=intent.limit_price,
        reasons=tuple(dict.fromkeys(denial.reason for denial in denials)),
        details=details,
    )


def _approval(
    scan: Gathering, intent: Intent, attempt: Attempt, context: GateContext
) -> OrderApproved:
    settings = context.settings
    ttl = settings.entry_ttl_seconds if intent.opens else settings.exit_ttl_seconds
    assert intent.limit_price is not None, "the rule `quote_required` refuses what has no price"
    return OrderApproved(
        scan_id=scan.ref.id,
        slot=scan.ref.slot,
        signal_id=intent.signal_id,
        decision_id=_decision_id(scan, intent, attempt),
        client_order_id=ids.client_order_id(ids.order_digest(intent.signal_id, attempt.number)),
        attempt=attempt.number,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        purpose=intent.purpose,
        qty=intent.qty,
        limit_price=intent.limit_price,
        protection=_protection(intent),
        expires_at=context.at + dt.timedelta(seconds=ttl),
    )


def _protection(intent: Intent) -> Protection | None:
    """What an entry carries; an exit needs none."""
    if not intent.opens:
        return None
    assert intent.stop is not None, "the rule `invalid_protection` refuses what has no stop"
    return Protection(stop=intent.stop, target=intent.target, time_stop_bars=intent.time_stop_bars)
