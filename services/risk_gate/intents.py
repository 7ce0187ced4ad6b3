"""Makes intents of exits and signals: identified, priced by the quote, sized by the book. Pure.

Called by verdicts.py. It refuses nothing: what cannot be priced or sized is an intent that the
rules refuse.
"""

import datetime as dt
from collections.abc import Iterable
from decimal import Decimal
from typing import NotRequired, TypedDict, Unpack

from services.risk_gate.state import GateContext, GateSettings, Gathering
from shared.domain.risk.book import Attempt, Book
from shared.domain.risk.intents import Intent, quote_price
from shared.domain.risk.sizing import SizingMethod, budget, cash_fraction, risk_fraction
from shared.domain.trading import ids
from shared.domain.trading.marketable_limit import limit_price
from shared.schemas.values import Exit, Purpose, Quote, Side, Signal


class _Facts(TypedDict):
    """What an intent has besides who wants it and when."""

    side: Side
    qty: int
    limit_price: Decimal | None
    quote: Quote | None
    signal_session: dt.date
    stop: NotRequired[Decimal]
    target: NotRequired[Decimal | None]
    time_stop_bars: NotRequired[int]
    last_close: NotRequired[Decimal]


def rank_signals(signals: Iterable[Signal], strategies: tuple[str, ...]) -> list[Signal]:
    """Strategies in configured order, then score descending, then symbol."""
    place = {name: number for number, name in enumerate(strategies)}
    return sorted(signals, key=lambda s: (place.get(s.strategy, len(place)), -s.score, s.symbol))


def exit_intent(
    book: Book, scan: Gathering, due: Exit, quote: Quote | None, context: GateContext
) -> Intent:
    """All that is held and not on its way out already."""
    side = due.direction.closes_with
    return _intent(
        book,
        scan,
        due,
        context,
        purpose=due.purpose,
        side=side,
        qty=book.closable(due.symbol),
        limit_price=_limit(quote, side),
        quote=quote,
        signal_session=scan.ref.last_completed,
    )


def entry_intent(
    book: Book, scan: Gathering, signal: Signal, quote: Quote | None, context: GateContext
) -> Intent:
    side = signal.direction.opens_with
    limit = _limit(quote, side)
    return _intent(
        book,
        scan,
        signal,
        context,
        purpose=Purpose.ENTRY,
        side=side,
        qty=_size(book, signal, limit, context.settings),
        limit_price=limit,
        quote=quote,
        stop=signal.stop,
        target=signal.target,
        time_stop_bars=signal.time_stop_bars,
        last_close=signal.reference_price,
        signal_session=signal.session,
    )


def _limit(quote: Quote | None, side: Side) -> Decimal | None:
    """None where there is nothing to trade against."""
    if quote is None or quote_price(quote, side) is None:
        return None
    return limit_price(quote.ask, quote.bid, side)


def _intent(
    book: Book,
    scan: Gathering,
    wish: Exit | Signal,
    context: GateContext,
    *,
    purpose: Purpose,
    **facts: Unpack[_Facts],
) -> Intent:
    signal_id = ids.signal_id(
        mode=context.settings.mode,
        account=context.settings.account,
        session=scan.ref.session,
        strategy=wish.strategy,
        symbol=wish.symbol,
        direction=wish.direction,
        purpose=purpose,
    )
    return Intent(
        signal_id=signal_id,
        symbol=wish.symbol,
        strategy=wish.strategy,
        direction=wish.direction,
        purpose=purpose,
        session=scan.ref.session,
        last_completed=scan.ref.last_completed,
        now=scan.ref.slot_at if context.settings.replay else context.at,
        closes_at=scan.ref.closes_at,
        halted=context.halted,
        same_pin=scan.same_pin,
        repeated=_is_repeat(book.attempts.get(signal_id), scan.ref.slot_at, purpose),
        **facts,
    )


def _is_repeat(tried: Attempt | None, slot_at: dt.datetime, purpose: Purpose) -> bool:
    """Whether it was tried at this slot already, or is an entry that may still be filled."""
    if tried is None:
        return False
    return slot_at <= tried.slot_at or (purpose is Purpose.ENTRY and not tried.over)


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
