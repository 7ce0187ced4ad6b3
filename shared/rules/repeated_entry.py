"""Refuses what was tried at this slot, is under way, or was refused for good; trips when it keeps coming."""

from __future__ import annotations

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.REPEATED_ENTRY
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """How often one wish may be put to the gate in a session before trading moves to reducing."""

    maximum: int = 5


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON) if intent.repeated else None


def breached(book: Book, limits: Limits) -> str:
    most = max((attempt.asked for attempt in book.attempts.values()), default=0)
    if most <= limits.maximum:
        return ""
    return f"the same wish came {most} times in one session, {limits.maximum} are allowed"
