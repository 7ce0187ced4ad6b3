"""Refuses an intent already tried at this slot, under way, or refused for good.

A breaker: the same intent too many times in one session is a loop, and trading moves to reducing.
"""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas import fields as f
from shared.schemas.values import Reason, Value

REASON = Reason.REPEATED_ENTRY
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """How often the gate may be asked for one intent in a session."""

    maximum: f.Place = 5


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON) if intent.repeated else None


def breach(book: Book, limits: Limits) -> str:
    most = max((attempt.asked for attempt in book.attempts.values()), default=0)
    if most <= limits.maximum:
        return ""
    return f"the same intent came {most} times in one session, {limits.maximum} are allowed"
