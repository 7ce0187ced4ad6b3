"""Verdicts on one phase of one scan: size, judge, reserve, say. Pure; called by handlers.py.

Exits first, in the order given; entries in rank order, each judged on the book that the one before it left.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from services.risk_gate.state import GateSettings, Gathering
from shared.domain import ids
from shared.domain.book import Attempt, Book, Reservation, reserve
from shared.domain.intents import Denial, Intent
from shared.domain.limits import limit_price
from shared.domain.sizing import SizingMethod, budget, cash_fraction, risk_fraction
from shared.rules.registry import judge
from shared.runtime.contract import Context
from shared.schemas.messages import Message, OrderApproved, OrderDenied, ScanDecided
from shared.schemas.values import Exit, Phase, Protection, Purpose, Quote, Reason, Signal, Slot

Verdict = OrderApproved | OrderDenied


def decide_exits(book: Book, scan: Gathering, context: Context) -> tuple[Book, list[Message]]:
    """All exits of the scan, then ScanDecided; final when no entries can follow."""
    quotes = {quote.symbol: quote for quote in scan.quotes}
    verdicts: list[Verdict] = []
    for due in scan.exits:
        intent = _exit_intent(book, scan, due, quotes.get(due.symbol), context)
        book, verdict = _verdict(book, scan, intent, None, context)
        verdicts.append(verdict)
    return book, [*verdicts, _decided(scan, Phase.EXITS, verdicts, final=scan.scan.slot is Slot.CLOSE)]


def decide_entries(book: Book, scan: Gathering, context: Context) -> tuple[Book, list[Message]]:
    """All entries of the scan in rank order, then ScanDecided, the scan's last."""
    settings: GateSettings = context.settings
    quotes = {quote.symbol: quote for quote in scan.quotes}
    verdicts: list[Verdict] = []
    for signal in ranked(scan.signals, settings.rank):
        intent = _entry_intent(book, scan, signal, quotes.get(signal.symbol), context)
        book, verdict = _verdict(book, scan, intent, signal, context)
        verdicts.append(verdict)
    return book, [*verdicts, _decided(scan, Phase.ENTRIES, verdicts, final=True)]


def ranked(signals: Iterable[Signal], strategies: tuple[str, ...]) -> list[Signal]:
    """Strategies in configured order, then score descending, then symbol."""
    place = {name: number for number, name in enumerate(strategies)}
    return sorted(signals, key=lambda s: (place.get(s.strategy, len(place)), -s.score, s.symbol))


def _decided(scan: Gathering, phase: Phase, verdicts: list[Verdict], *, final: bool) -> ScanDecided:
    approved = sum(isinstance(verdict, OrderApproved) for verdict in verdicts)
    return ScanDecided(
        scan_id=scan.scan.id,
        slot=scan.scan.slot,
        phase=phase,
        approved=approved,
        denied=len(verdicts) - approved,
        final=final,
    )


def _exit_intent(book: Book, scan: Gathering, due: Exit, quote: Quote | None, context: Context) -> Intent:
    held = book.positions.get(due.symbol)
    side = due.direction.closes_with
    return _intent(
        scan,
        context,
        symbol=due.symbol,
        strategy=due.strategy,
        direction=due.direction,
        side=side,
        purpose=due.purpose,
        qty=held.qty if held else 0,
        limit_price=limit_price(quote.ask, quote.bid, side) if quote else None,
        quote=quote,
        signal_session=scan.scan.last_completed,
    )


def _entry_intent(book: Book, scan: Gathering, signal: Signal, quote: Quote | None, context: Context) -> Intent:
    side = signal.direction.opens_with
    limit = limit_price(quote.ask, quote.bid, side) if quote else None
    return _intent(
        scan,
        context,
        symbol=signal.symbol,
        strategy=signal.strategy,
        direction=signal.direction,
        side=side,
        purpose=Purpose.ENTRY,
        qty=_size(book, signal, limit, context.settings),
        limit_price=limit,
        quote=quote,
        stop=signal.stop,
        target=signal.target,
        last_close=signal.reference_price,
        signal_session=signal.session,
        repeated=_repeated(book, _signal_id(scan, signal, context.settings), scan.scan.slot_at),
    )


def _intent(scan: Gathering, context: Context, **facts: object) -> Intent:
    settings: GateSettings = context.settings
    known: dict[str, object] = {
        "stop": None,
        "target": None,
        "last_close": None,
        "last_completed": scan.scan.last_completed,
        "now": scan.scan.slot_at if settings.replay else context.at,
        "decided_at": context.at,
        "closes_at": scan.scan.closes_at,
        "halted": context.halted,
        "same_pin": scan.same_pin,
    }
    return Intent(**{**known, **facts})  # type: ignore[arg-type]


def _size(book: Book, signal: Signal, limit: Decimal | None, settings: GateSettings) -> int:
    if limit is None:
        return 0
    value = settings.sizing.value
    match settings.sizing.method:
        case SizingMethod.BUDGET:
            return budget(value, limit)
        case SizingMethod.CASH_FRACTION:
            return cash_fraction(value, book.cash, limit)
        case SizingMethod.RISK_FRACTION:
            return risk_fraction(value, book.equity, limit, signal.stop)


def _repeated(book: Book, signal_id: str, slot_at: dt.datetime) -> bool:
    """A wish may be tried again only at a later slot, and only if it ended for certain without a fill."""
    tried = book.attempts.get(signal_id)
    return tried is not None and not (tried.over and tried.slot_at < slot_at)


def _signal_id(scan: Gathering, wish: Signal | Intent, settings: GateSettings) -> str:
    return ids.signal_id(
        mode=settings.mode,
        account=settings.account,
        session=scan.scan.session,
        strategy=wish.strategy,
        symbol=wish.symbol,
        direction=wish.direction,
        purpose=wish.purpose if isinstance(wish, Intent) else Purpose.ENTRY,
    )


def _verdict(
    book: Book, scan: Gathering, intent: Intent, signal: Signal | None, context: Context
) -> tuple[Book, Verdict]:
    """Judge one intent; approved, it is reserved in the book that is returned."""
    settings: GateSettings = context.settings
    signal_id = _signal_id(scan, intent, settings)
    denials = judge(intent, book, settings.rules)
    attempt = _next_attempt(book.attempts.get(signal_id), scan.scan.slot_at)
    digest = ids.order_digest(signal_id, attempt.number)
    named = {
        "scan_id": scan.scan.id,
        "slot": scan.scan.slot,
        "signal_id": signal_id,
        "decision_id": ids.decision_id(
            digest, session=scan.scan.session, first_slot_at=attempt.first_slot_at, symbol=intent.symbol
        ),
    }
    if denials:
        over = denials[0].reason is Reason.NO_QUOTE
        if not intent.repeated and not context.halted:
            book = _attempted(book, signal_id, msgspec.structs.replace(attempt, over=over or not intent.opens))
        return book, _denied(intent, denials, named)
    client_order_id = ids.client_order_id(digest)
    book = reserve(book, client_order_id, _reservation(scan, intent, signal_id), context.at)
    return _attempted(book, signal_id, attempt), _approved(
        intent, signal, named, client_order_id, attempt.number, context
    )


def _next_attempt(tried: Attempt | None, slot_at: dt.datetime) -> Attempt:
    if tried is None:
        return Attempt(number=1, first_slot_at=slot_at, slot_at=slot_at, over=False)
    again = tried.slot_at < slot_at
    return Attempt(number=tried.number + again, first_slot_at=tried.first_slot_at, slot_at=slot_at, over=False)


def _attempted(book: Book, signal_id: str, attempt: Attempt) -> Book:
    return msgspec.structs.replace(book, attempts={**book.attempts, signal_id: attempt})


def _reservation(scan: Gathering, intent: Intent, signal_id: str) -> Reservation:
    assert intent.limit_price is not None
    return Reservation(
        scan_id=scan.scan.id,
        signal_id=signal_id,
        symbol=intent.symbol,
        strategy=intent.strategy,
        direction=intent.direction,
        side=intent.side,
        purpose=intent.purpose,
        qty=intent.qty,
        limit_price=intent.limit_price,
    )


def _denied(intent: Intent, denials: tuple[Denial, ...], named: Mapping[str, object]) -> OrderDenied:
    return OrderDenied(
        **named,  # type: ignore[arg-type]
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        purpose=intent.purpose,
        qty=intent.qty,
        limit_price=intent.limit_price,
        reasons=tuple(denial.reason for denial in denials),
        details={denial.reason.value: denial.detail for denial in denials if denial.detail},
    )


def _approved(
    intent: Intent,
    signal: Signal | None,
    named: Mapping[str, object],
    client_order_id: str,
    attempt: int,
    context: Context,
) -> OrderApproved:
    settings: GateSettings = context.settings
    ttl = settings.entry_ttl_seconds if intent.opens else settings.exit_ttl_seconds
    assert intent.limit_price is not None
    return OrderApproved(
        **named,  # type: ignore[arg-type]
        client_order_id=client_order_id,
        attempt=attempt,
        strategy=intent.strategy,
        symbol=intent.symbol,
        side=intent.side,
        purpose=intent.purpose,
        qty=intent.qty,
        limit_price=intent.limit_price,
        protection=_protection(signal),
        expires_at=context.at + dt.timedelta(seconds=ttl),
    )


def _protection(signal: Signal | None) -> Protection | None:
    if signal is None:
        return None
    return Protection(stop=signal.stop, target=signal.target, time_stop_bars=signal.time_stop_bars)
