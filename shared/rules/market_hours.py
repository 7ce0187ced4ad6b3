"""Refuses to trade once the session has closed."""

from __future__ import annotations

from shared.domain.book import Book
from shared.domain.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.MARKET_CLOSED
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON) if intent.now >= intent.closes_at else None
