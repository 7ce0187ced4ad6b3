"""Refuses a signal that is not of the last completed session."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.STALE_SIGNAL
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.signal_session == intent.last_completed:
        return None
    return Denial(
        reason=REASON, detail=f"of {intent.signal_session}, not of {intent.last_completed}"
    )
