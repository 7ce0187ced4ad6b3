"""Refuses what the available cash does not cover; it never goes negative."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.INSUFFICIENT_CASH
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.notional <= book.cash:
        return None
    return Denial(reason=REASON, detail=f"{intent.notional} needed, {book.cash} available")
