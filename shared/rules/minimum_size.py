"""Refuses an entry whose size is less than one share; it is never rounded up."""

from shared.domain.risk.book import Book
from shared.domain.risk.intents import Denial, Intent
from shared.schemas.values import Reason, Value

REASON = Reason.SIZE_ZERO
JUDGES_EXITS = False


class Limits(Value, frozen=True, kw_only=True):
    """None to set."""


def check(intent: Intent, book: Book, limits: Limits) -> Denial | None:
    if intent.qty != 0 or intent.quote_price is None:
        return None
    return Denial(reason=REASON, detail=f"less than one share at {intent.limit_price}")
