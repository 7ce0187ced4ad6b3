"""Refuses everything while a kill holds: exits wait for the resume, protection stays in place."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.HALTED
JUDGES_EXITS = True


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    return Denial(reason=REASON, detail="; ".join(intent.halted)) if intent.halted else None
