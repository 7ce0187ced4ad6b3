"""Refuses an entry that was tried at this slot, is under way, or was refused for good."""

from __future__ import annotations

from shared.domain.book import Book
from shared.domain.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.REPEATED_ENTRY
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON) if intent.repeated else None
