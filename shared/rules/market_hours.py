"""Refuses to trade in any session but the open one, and after its close."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.MARKET_CLOSED
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.session != book.session:
        return Denial(
            reason=REASON, detail=f"{intent.session} is not the open session {book.session}"
        )
    if intent.now >= intent.closes_at:
        return Denial(reason=REASON, detail=f"closed at {intent.closes_at:%H:%M} UTC")
    return None
