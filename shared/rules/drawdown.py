"""Refuses entries after too deep a fall from the peak, or too much lost within the session.

A breaker: once breached, the gate moves to reducing until the operator moves it back.
"""

from decimal import Decimal

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.REDUCING
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum_fraction: f.Fraction = Decimal("0.20")
    daily_loss_fraction: f.Fraction = Decimal("0.05")


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    why = breach(book, limits)
    return Denial(reason=REASON, detail=why) if why else None


def breach(book: Book, limits: Limits) -> str:
    """What has been breached, in words, or nothing."""
    if book.peak_equity - book.equity > limits.maximum_fraction * book.peak_equity:
        return f"equity {book.equity} is too far below its peak {book.peak_equity}"
    if book.session_equity - book.equity > limits.daily_loss_fraction * book.session_equity:
        start = book.session_equity
        return f"equity {book.equity} has lost too much since the session's start at {start}"
    return ""
