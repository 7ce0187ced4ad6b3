"""Refuses to hold more positions than allowed, those on the way counted."""

from __future__ import annotations

from shared.domain.book import Book
from shared.domain.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.MAX_POSITIONS
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    maximum: int = 10


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.symbol in book.open_symbols or len(book.open_symbols) < limits.maximum:
        return None
    return Denial(reason=REASON, detail=f"{len(book.open_symbols)} of {limits.maximum}")
