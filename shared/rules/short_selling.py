"""Refuses to sell short unless it is allowed."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Direction, Reason, Value

REASON = Reason.SHORTS_DISABLED
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    allowed: bool = False


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if limits.allowed or intent.direction is Direction.LONG:
        return None
    return Denial(reason=REASON)
